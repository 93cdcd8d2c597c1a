"""Who is told no on arrival, before anything is spent: pure functions of what waits and runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.scheduling.dispatch import Limits, Refused
from app.scheduling.menu import Menu
from app.scheduling.power_gate import PowerGate
from app.scheduling.types import Request

_SAVING = 0.5  # part of a request's time that may go into waiting for joules


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a request finds before it."""

    sooner: int
    """Windows in the queues that are due before it."""
    free_cores: int
    busy_s: float
    """Core time that the running inferences are expected to take yet."""


def has_room(waiting: int, free_cores: int, limits: Limits) -> bool:
    """Whether one more request may wait; where none may, one may still go to a free core."""
    return waiting < limits.max_queue or (not waiting and free_cores > 0)


def lateness_s(
    request: Request,
    menu: Menu,
    ahead: Ahead,
    limits: Limits,
    *,
    most_batch: int,
    slowdown: float,
    overhead_s: float,
    now_s: float,
) -> float:
    """How late a request would be, if all that is due before it is served the quickest way.

    Args:
        request: Who asks.
        menu: What can be run for it, and taken to be what is run for those before it.
        ahead: What it finds.
        limits: Bounds on waiting and batching.
        most_batch: Windows of the largest batch.
        slowdown: Factor on every latency.
        overhead_s: What an answer takes beside waiting and inference.
        now_s: The time.

    Returns:
        Seconds after its deadline; negative if it would be in time.
    """
    wait_s = 0.0
    if ahead.sooner >= ahead.free_cores:
        each_s = menu.least_core_s(most_batch) * slowdown
        wait_s = (ahead.busy_s + ahead.sooner * each_s) / limits.cores
    fastest_s = menu.fastest_s(request.windows, 1, request.permilles) * slowdown
    return now_s + wait_s + fastest_s + overhead_s - request.deadline_s


def refusal_for_power(
    request: Request,
    energy_j: float,
    waiting: int,
    gate: PowerGate,
    *,
    patience_s: float,
    now_s: float,
) -> Refused | None:
    """Refuse a request for which the node's power cap has no joules in time.

    Args:
        request: Who asks.
        energy_j: The least that it takes.
        waiting: Requests before it, each taken to need as much.
        gate: The node's power cap.
        patience_s: Longest wait of a request without latency budget.
        now_s: The time.
    """
    if gate.cap_w is None:
        return None
    longest_s = patience_s
    if request.deadline_s < math.inf:
        longest_s = min(longest_s, _SAVING * max(request.deadline_s - now_s, 0.0))
    wait_s = gate.wait_s(energy_j, now_s)
    if waiting and wait_s < math.inf:
        owed_j = energy_j * (waiting + 1) - gate.tokens_j(now_s)
        wait_s = max(wait_s, owed_j / gate.refill_w)
    if wait_s <= longest_s:
        return None
    return Refused(
        "power_cap",
        wait_s - longest_s if wait_s < math.inf else patience_s,
        f"the node's power cap of {gate.cap_w:g} W leaves no energy for "
        f"{waiting + 1} more requests in time",
    )
