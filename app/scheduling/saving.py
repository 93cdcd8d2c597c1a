"""What to do where joules count and not time: wait for them, or for company, and with which offer.

Waiting costs nobody anything then: those who arrive meanwhile make the batch larger and each
window cheaper. So it lasts as long as the head of the queue can afford.
"""

from __future__ import annotations

import math

from app.scheduling.fair_slack import Policy, View
from app.scheduling.menu import Offer
from app.scheduling.power_gate import PowerGate
from app.scheduling.types import Request

_SAVING = 0.5
_SHORTEST_S = 0.0005
_LONGEST_S = 0.25  # of waiting where no deadline says how long is too long


def grows_until_s(offer: Offer, view: View, policy: Policy, most_batch: int) -> float:
    """Until when it is better to let the batch grow: never, unless joules are what is short.

    Half of the head's budget may pass; the other half is for a core to be free and to run.
    """
    if not policy.concedes or view.affords(offer) or offer.option.batch >= most_batch:
        return -math.inf
    return patient_until_s(view.request)


def patient_until_s(request: Request) -> float:
    """Until when a request may wait for the sake of joules."""
    return request.received_s + _SAVING * min(request.deadline_s - request.received_s, _LONGEST_S)


def instead(
    offer: Offer, view: View, policy: Policy, gate: PowerGate, *, factor: float, now_s: float
) -> Offer:
    """What to save joules for: the cheapest for each that can be in time, else the soonest.

    Args:
        offer: What the policy chose.
        view: What it chose from.
        policy: Says whether another variant will do.
        gate: The node's power cap.
        factor: On the energy of an offer.
        now_s: The time.
    """
    permille = None if policy.concedes else offer.option.permille
    strict = view.request.budget.strict
    slack_s = min(view.slack_s if view.slack_s > 0 else math.inf, _LONGEST_S)
    timely, soonest, soonest_s = None, offer, math.inf
    for other in view.offers:
        if permille not in (None, other.option.permille) or (strict and view.breaks(other)):
            continue
        wait_s = gate.wait_s(other.option.energy_j * factor, now_s)
        if wait_s < soonest_s:
            soonest, soonest_s = other, wait_s
        in_time = wait_s + view.slowdown * other.latency_s <= slack_s
        if in_time and (timely is None or view.drawn_j(other) < view.drawn_j(timely)):
            timely = other
    return timely or soonest


def wake_s(energy_j: float, given_up_s: float, gate: PowerGate, now_s: float) -> float:
    """When to look again: once the joules are there, or the head has to hear that it is too late.

    Args:
        energy_j: What is saved for.
        given_up_s: When the head of the queue is given up.
        gate: The node's power cap.
        now_s: The time.
    """
    joules_s = now_s + max(gate.wait_s(energy_j, now_s), _SHORTEST_S)
    too_late_s = math.nextafter(given_up_s, math.inf)
    return min(joules_s, too_late_s) if too_late_s > now_s else joules_s
