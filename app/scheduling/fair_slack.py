"""What a policy sees, and the plain one: the best that fits a budget and an even share of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.scheduling.menu import Menu, Offer
from app.scheduling.types import BudgetKind, Request
from app.scheduling.waiting import NOBODY, Waiting

_SAME = 1.05
"""Times the least energy: up to here a profile, whose figures scatter, tells no batches apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a policy may look at when a core is free: the head of the most urgent queue."""

    request: Request
    offers: Sequence[Offer]
    """All that can be run for it now, the best liked first; never empty."""
    menu: Menu
    """All that could be run for its group, whatever waits: for policies that plan by tables."""
    slack_s: float
    """Until its deadline, less what the answer takes beside its inference."""
    slowdown: float
    """Factor on the latency of an offer."""
    margin: float
    """Added to the factor where a deadline must be kept: z standard deviations."""
    energy_factor: float
    """Factor on the energy of an offer, its margin included."""
    pace_s: float
    """Core time of one window that leaves everyone behind enough."""
    allowance_j: float
    """Energy of one request, reading it excluded, that the node's power cap can sustain."""
    idle_power_w: float
    arrival_rate_hz: float
    """Requests per second, at least one."""
    queued: int
    """Requests that wait, this one included."""
    handover_s: float = 0.0
    """How long a batch holds a core beside its inference."""
    handover_j: float = 0.0
    """Energy of handing a batch over."""
    waiting: Waiting = NOBODY
    """Everybody's time that is left; nobody's where time is no matter any more."""
    surplus_j: float = 0.0
    """Energy, beside its requests' allowance, that a batch may take: what others left of theirs."""

    def core_s(self, offer: Offer) -> float:
        """Time of a core that one window really takes: its part of inference and handover."""
        option = offer.option
        return self.slowdown * offer.core_s + self.handover_s * option.cores / option.batch

    def drawn_j(self, offer: Offer) -> float:
        """Energy by which offers are compared: the head's part of inference and handover.

        Receipts and budgets are of inference and reading alone. Yet what it takes to hand a batch
        over is drawn as well, once for all who share it, and a profile that is nearly flat over
        batches says nothing of that.
        """
        option = offer.option
        part = option.cores * self.request.windows / option.batch
        return self.energy_factor * offer.energy_j + self.handover_j * part

    def affords(self, offer: Offer) -> bool:
        """Whether the node's cap can sustain an offer, what was saved before included."""
        allowed_j = self.allowance_j + self.surplus_j / offer.requests
        return self.energy_factor * offer.energy_j <= allowed_j

    def outpaced(self, chosen: Offer) -> bool:
        """Whether a more accurate offer kept every limit but the pace."""
        for offer in self.offers:
            if offer.accuracy <= chosen.accuracy:  # nor is any that follows more accurate
                return False
            if self.affords(offer) and self.keeps(offer):
                return True
        return False

    def fits_slack(self, offer: Offer) -> bool:
        """Whether the head is expected to be in time."""
        return (self.slowdown + self.margin) * offer.latency_s <= self.slack_s

    def keeps(self, offer: Offer) -> bool:
        """Whether all of the head's budgets are kept."""
        return self.fits_slack(offer) and self.breaks(offer) is None

    def late(self, offer: Offer, window_s: float) -> int:
        """How many of those who wait are expected to be late if an offer is taken.

        Args:
            offer: What is run now.
            window_s: Core time of a window of those left behind, on a machine that is not slow.
        """
        factor = self.slowdown + self.margin
        return self.waiting.late(
            offer.requests,
            ends_s=factor * offer.latency_s,
            window_s=factor * window_s * self.request.windows,
            handover_s=self.handover_s,
        )

    def breaks(self, offer: Offer) -> BudgetKind | None:
        """Return the first of the head's budgets but latency that is missed."""
        budget = self.request.budget
        if budget.accuracy_floor is not None and offer.accuracy < budget.accuracy_floor:
            return "accuracy"
        energy_j = self.energy_factor * offer.energy_j + self.request.reading_j
        power_w = self.idle_power_w + self.arrival_rate_hz * energy_j
        if budget.power_w is not None and power_w > budget.power_w:
            return "power"
        if budget.energy_j is not None and energy_j > budget.energy_j:
            return "energy"
        return None


class Policy(Protocol):
    """Chooses what to run."""

    @property
    def name(self) -> str:
        """A short word for tables."""
        ...

    @property
    def sheds(self) -> bool:
        """Whether requests that are predicted to be late may be refused when they arrive."""
        ...

    @property
    def concedes(self) -> bool:
        """Whether another variant may run where the power cap lacks the joules for its choice."""
        ...

    def choose(self, view: View) -> Offer | None:
        """Return one of the offers, or None to give up the head of the queue."""
        ...


class FairSlack:
    """DESIGN 5.8: within every budget, the highest expected accuracy; ties to the least energy.

    Under backlog an offer must also keep the pace at which everyone who waits can be served. It
    is the least precious limit: a caller's budget is never missed for it, but accuracy that
    nobody asked for is given up. Where somebody would be late all the same, what makes the
    fewest late is taken (decision 25).
    """

    name = "fair-slack"
    sheds = True
    concedes = True

    def choose(self, view: View) -> Offer:
        """Return the best liked offer that keeps every limit, else the one that misses least."""
        if view.request.budget.least_energy:
            return self._sparing(view, cheapest(view) or self._missing_least(view))
        late_factor = view.slowdown + view.margin
        slack_s, pace_s, core_s = view.slack_s, view.pace_s, view.core_s
        asks_more = not view.request.budget.asks_only_time
        best, least_j = None, math.inf
        for offer in view.offers:
            if best is not None and offer.accuracy < best.accuracy:
                break
            if (
                late_factor * offer.latency_s <= slack_s
                and core_s(offer) <= pace_s
                and view.affords(offer)
                and not (asks_more and view.breaks(offer))
                and (drawn_j := view.drawn_j(offer)) < least_j
            ):
                best, least_j = offer, drawn_j
        return self._sparing(view, best or self._missing_least(view))

    def _sparing(self, view: View, liked: Offer) -> Offer:
        """Return the offer that makes the fewest late, the liked one if none makes fewer.

        A batch that its head's slack allows may be so small that all behind it are late, or all
        of them in a larger batch, of a smaller variant, in time. Of who is strict no budget is
        missed for others.
        """
        if len(view.waiting.all_s) < 2:
            return liked
        window_s: dict[int, float] = {}
        for offer in view.offers:
            permille, core_s = offer.option.permille, offer.core_s
            window_s[permille] = min(core_s, window_s.get(permille, core_s))
        fewest = view.late(liked, window_s[liked.option.permille])
        if not fewest:
            return liked
        sparing = [liked]
        firm = view.request.budget.strict and view.keeps(liked)
        for offer in view.offers:
            late = view.late(offer, window_s[offer.option.permille])
            if late > fewest or (firm and not view.keeps(offer)):
                continue
            if late < fewest:
                fewest, sparing = late, []
            sparing.append(offer)
        if liked in sparing:
            return liked
        return min(sparing, key=lambda offer: self._rank(offer, view))

    def _missing_least(self, view: View) -> Offer:
        """Return the offer that misses least, and is the best liked of those that miss as much."""
        return min(view.offers, key=lambda offer: self._rank(offer, view))

    @staticmethod
    def _rank(offer: Offer, view: View) -> tuple[object, ...]:
        """By how much each limit is missed, the most precious first (DESIGN 5.3); then liking."""
        budget, floor = view.request.budget, view.request.budget.accuracy_floor
        latency_s = (view.slowdown + view.margin) * offer.latency_s
        energy_j = view.energy_factor * offer.energy_j + view.request.reading_j
        power_w = view.idle_power_w + view.arrival_rate_hz * energy_j
        drawn_j, core_s = view.drawn_j(offer), view.core_s(offer)
        return (
            latency_s if latency_s > view.slack_s else 0.0,
            -offer.accuracy if floor is not None and offer.accuracy < floor else -math.inf,
            power_w if budget.power_w is not None and power_w > budget.power_w else 0.0,
            drawn_j if budget.energy_j is not None and energy_j > budget.energy_j else 0.0,
            0.0 if view.affords(offer) else drawn_j,
            core_s if core_s > view.pace_s else 0.0,
            *((drawn_j, -offer.accuracy) if budget.least_energy else (-offer.accuracy, drawn_j)),
            offer.order,
        )


def cheapest(view: View) -> Offer | None:
    """Return the offer that draws least of those that keep every limit; None if none does.

    The pace is no limit here: hardly any offer takes less of a core than the cheapest. Of batches
    of one variant that can't be told apart the largest is taken.
    """
    fitting = [
        (view.drawn_j(offer), offer)
        for offer in view.offers
        if view.affords(offer) and view.keeps(offer)
    ]
    if not fitting:
        return None
    least_j, best = min(fitting, key=lambda found: (found[0], found[1].order))
    alike = (
        offer
        for drawn_j, offer in fitting
        if drawn_j <= _SAME * least_j and offer.option.permille == best.option.permille
    )
    return max(alike, key=lambda offer: (offer.option.batch, -offer.latency_s))
