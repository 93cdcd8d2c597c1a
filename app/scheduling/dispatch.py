"""What the scheduler answers, as frozen values: run this, not that one, come back later."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from app.scheduling.fair_slack import View
from app.scheduling.menu import Offer
from app.scheduling.plans import Plan
from app.scheduling.policy import describe
from app.scheduling.types import BudgetKind, Limit, NodeState, Request

RefusalReason = Literal["queue_full", "busy", "power_cap"]
DropReason = Literal["deadline", "patience"] | BudgetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on waiting and batching."""

    cores: int
    max_queue: int = 1024
    """Requests that may wait."""
    max_windows: int = 16
    """Windows in one batch of several requests."""
    patience_s: float = 30.0
    """Longest wait of a request without latency budget."""
    late_grace_s: float = 1.0
    """How long a lenient request that missed its deadline is kept for a core that idles."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is not let in."""

    reason: RefusalReason
    retry_after_s: float
    message: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request given up before anything was spent on it."""

    request: Request
    reason: DropReason
    """What ran out: the deadline or our patience; or the strict budget that nothing fits."""
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """One batch to run now."""

    requests: tuple[Request, ...]
    """The most urgent first; all of one group."""
    offer: Offer
    view: View
    """What the decision was made from."""
    cores: int
    predicted_j: float
    """Active energy taken from the power gate."""
    energy_factor: float
    cap_w: float | None
    overhead_s: float
    now_s: float

    @property
    def predicted_s(self) -> float:
        """How long the inference is expected to take."""
        return self.view.slowdown * self.offer.latency_s

    def plan(self, request: Request) -> Plan:
        """Describe the decision as it concerns one of the requests."""
        option, view = self.offer.option, self.view
        share_j = option.energy_j * self.energy_factor * request.windows / option.batch
        node = NodeState(
            idle_power_w=view.idle_power_w,
            arrival_rate_hz=view.arrival_rate_hz,
            slowdown=view.slowdown,
            slowdown_margin=view.margin,
            elapsed_s=self.now_s - request.received_s + self.overhead_s,
        )
        behind = 0 if request.budget.least_energy else self._crowded_out()
        decided = describe(
            option,
            request.budget,
            node,
            energy_j=share_j + request.reading_j,
            requests=len(self.requests),
            cores=self.cores,
            queued=behind,
            share_s=None if behind or request.budget.least_energy else self._share_s(),
        )
        if self.cap_w is None:
            return decided
        # The gate spaces batches out, so that the node stays under its cap whatever they cost.
        power_w = min(decided.expected_power_w, self.cap_w)
        limits = (*decided.limits, Limit("cap", self.cap_w, power_w, False))
        return replace(decided, expected_power_w=power_w, limits=limits)

    def _share_s(self) -> float | None:
        """Core time of each window, if the rate of requests is why it got no better variant."""
        view = self.view
        return view.pace_s if view.pace_s < math.inf and view.outpaced(self.offer) else None

    def _crowded_out(self) -> int:
        """How many others wait, if they are why the batch got no more accurate variant."""
        view = self.view
        behind = view.queued - len(self.requests)
        better = behind > 0 and any(
            offer.accuracy > self.offer.accuracy and view.fits_slack(offer) for offer in view.offers
        )
        return behind if better else 0
