"""A decision as data, and a refusal, each with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from app.scheduling.types import BudgetKind, Kind, Limit
from app.scheduling.wording import why_chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decision as data: which variant, what it should cost, and why."""

    permille: int
    batch: int
    threads: int
    expected_latency_s: float
    """As the budget counts it: the part already spent included."""
    expected_energy_j: float
    expected_accuracy: float
    expected_power_w: float
    feasible: bool
    """Every budget is expected to be met."""
    conceded: tuple[BudgetKind, ...]
    """Budgets expected to be missed, in the order of concession."""
    limits: tuple[Limit, ...] = ()
    """What was asked and is expected of every budget and of the node's cap."""
    requests: int = 1
    """How many share the batch."""
    cores: int = 1
    """How many share its rows."""
    queued: int = 0
    """Requests that wait behind it, where they decided: 0 if the choice would have been the same
    without them."""

    share_s: float | None = None
    """Core time that each window may take at the rate of requests, where that decided although
    nobody waited behind it."""
    least_energy: bool = False
    """Whether the least energy was wanted, rather than the most accuracy."""

    @property
    def reason(self) -> str:
        """One sentence for people."""
        return why_chosen(
            self.permille,
            self.expected_accuracy,
            self.limits,
            self.queued,
            self.share_s,
            requests=self.requests,
            least_energy=self.least_energy,
        )


class Infeasible(Exception):  # noqa: N818  (a verdict about a budget, not a fault)
    """No variant fits a strict budget, or none fits the node's cap.

    Args:
        kind: The budget that can't be met; ``"cap"`` for the node's own.
        least_possible: What it would have to be, in its base unit, more precious budgets kept.
            For an accuracy floor this is the most that can be had.
        asked: What was asked for.
        message: One sentence for people.
    """

    def __init__(self, kind: Kind, least_possible: float, asked: float, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.least_possible = least_possible
        self.asked = asked
