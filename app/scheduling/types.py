"""What the planner reads and what it answers, as frozen values in base units."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

BudgetKind = Literal["energy", "power", "accuracy", "latency"]
"""What a request may budget, in the order in which it is conceded."""

Kind = BudgetKind | Literal["cap"]
"""A budget, or the node's own power cap, which is never conceded."""


def _check(owner: str, *, positive: bool, **values: float | None) -> None:
    for name, value in values.items():
        if value is None:
            continue
        if not math.isfinite(value) or value < 0 or (positive and value == 0):
            allowed = "positive" if positive else "at least 0"
            raise ValueError(f"{owner}.{name} must be finite and {allowed}, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one request may spend; None leaves a quantity free."""

    latency_s: float | None = None
    """From the request read to the answer written."""
    energy_j: float | None = None
    """Active energy of the request, idle power excluded."""
    power_w: float | None = None
    """Mean power of the node while the caller's stream is served."""
    accuracy_floor: float | None = None
    """Lowest expected accuracy accepted, in [0, 1]."""
    least_energy: bool = False
    """The least energy that all of the above allow is wanted, rather than the most accuracy."""
    strict: bool = False
    """Fail rather than miss; otherwise the best that can be done, marked as missed."""

    def __post_init__(self) -> None:
        _check(
            "budget",
            positive=True,
            latency_s=self.latency_s,
            energy_j=self.energy_j,
            power_w=self.power_w,
        )
        if self.accuracy_floor is not None and not 0.0 <= self.accuracy_floor <= 1.0:
            raise ValueError(f"budget.accuracy_floor must be in [0, 1], got {self.accuracy_floor}")

    @property
    def asks_only_time(self) -> bool:
        """Whether nothing but the deadline is asked for."""
        return (
            self.energy_j is None
            and self.power_w is None
            and self.accuracy_floor is None
            and not self.least_energy
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the scheduler knows of one request."""

    id: int
    group: Hashable
    """Only requests of one group can share a batch: a model and a presence."""
    budget: Budget
    received_s: float
    """When its last byte was read, on the scheduler's clock."""
    windows: int = 1
    reading_j: float = 0.0
    """Energy that reading it took."""
    permilles: frozenset[int] | None = None
    """Ratios it may be given; None for all."""

    @property
    def deadline_s(self) -> float:
        """When its answer is due; infinity without a latency budget."""
        budget_s = self.budget.latency_s
        return math.inf if budget_s is None else self.received_s + budget_s


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantCost:
    """One way to serve a request: a variant for its presence, at its batch size.

    Latency and energy are of the whole request on a machine that is not slowed down.
    """

    permille: int
    flops: int
    latency_s: float
    energy_j: float
    expected_accuracy: float
    batch: int = 1
    threads: int = 1
    cores: int = 1
    """Cores that share the rows of the batch; latency is of the slowest share."""

    def __post_init__(self) -> None:
        _check(
            "variant",
            positive=False,
            latency_s=self.latency_s,
            energy_j=self.energy_j,
            expected_accuracy=self.expected_accuracy,
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget beside what an option is expected to take of it."""

    kind: Kind
    asked: float
    expected: float
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the planner must know of the machine at this moment."""

    idle_power_w: float = 0.0
    arrival_rate_hz: float = 0.0
    """Requests per second observed; a lower rate than one counts as one."""
    power_cap_w: float | None = None
    """The node's own cap: never conceded."""
    slowdown: float = 1.0
    """Factor on every latency of the profile."""
    slowdown_margin: float = 0.0
    """Added to the factor when a latency budget is checked: z standard deviations of it."""
    elapsed_s: float = 0.0
    """Part of the latency budget that is already spent."""

    def __post_init__(self) -> None:
        _check(
            "node",
            positive=False,
            idle_power_w=self.idle_power_w,
            arrival_rate_hz=self.arrival_rate_hz,
            slowdown_margin=self.slowdown_margin,
            elapsed_s=self.elapsed_s,
        )
        _check("node", positive=True, power_cap_w=self.power_cap_w, slowdown=self.slowdown)

    def power_w(self, energy_j: float) -> float:
        """Mean power of the node while requests of this energy arrive at the observed rate.

        A rate under one request per second counts as one, so that a lone request is judged over
        one second and a smaller budget always means a smaller variant.
        """
        return self.idle_power_w + max(self.arrival_rate_hz, 1.0) * energy_j
