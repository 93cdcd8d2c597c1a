"""The answer to a request, with its receipt: what it really cost, and whether that was allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.errors import WrongInputError
from app.scheduling import Budget, BudgetKind, Plan
from sentryfuse.energy import Quality
from sentryfuse.presence import Presence


@dataclass(frozen=True, slots=True)
class Spending:
    """One budget beside what was spent of it."""

    kind: BudgetKind
    asked: float
    spent: float
    """For an accuracy floor, the expected accuracy."""

    @property
    def met(self) -> bool:
        """Whether the budget was kept."""
        return self.spent >= self.asked if self.kind == "accuracy" else self.spent <= self.asked


@dataclass(frozen=True, slots=True)
class Step:
    """One variant that was asked about a request."""

    variant: str
    confidence: float
    """Least top probability over the request's windows."""
    inference_s: float
    energy_j: float


@dataclass(frozen=True, slots=True)
class Company:
    """The batch that a request was answered in."""

    requests: int
    windows: int
    cores: int
    """Cores that shared its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a request cost, in base units; of several steps the sums."""

    parse_s: float
    build_s: float
    """Time to build the variant, if none was in memory that would do."""
    queue_s: float
    """Until it was decided to run it."""
    batch_wait_s: float
    """From the decision to the start of the inference: putting the batch together."""
    inference_s: float
    total_s: float
    """From the last byte of the request to the writing of this receipt."""
    reading_j: float
    """Active energy of reading the request."""
    inference_j: float
    """Own share of the active energy of the batch, by windows."""
    energy_source: str
    energy_quality: Quality
    budget: tuple[Spending, ...]
    batch: Company
    """Of the last step."""
    steps: tuple[Step, ...]
    """Of a cascade, the smallest variant first; empty without one."""

    @property
    def energy_j(self) -> float:
        """Active energy of reading and inference, idle power excluded."""
        return self.reading_j + self.inference_j

    @property
    def met(self) -> bool:
        """Whether every budget was kept; true without one."""
        return all(spending.met for spending in self.budget)

    @property
    def in_time(self) -> bool | None:
        """Whether the latency budget was kept, or there was none; None if a build made it late."""
        kept = all(spending.met for spending in self.budget if spending.kind == "latency")
        return None if not kept and self.build_s else kept

    @property
    def answering_s(self) -> float:
        """Time that went into nothing of the above: deciding and writing."""
        stages = self.parse_s + self.build_s + self.queue_s + self.batch_wait_s + self.inference_s
        return max(self.total_s - stages, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says about the windows of one request."""

    model: str
    version: str
    class_names: tuple[str, ...]
    modality_names: tuple[str, ...]
    presence: Presence
    probabilities: NDArray[np.float32]
    """``[batch, classes]``."""
    plan: Plan
    receipt: Receipt
    id: str | None

    @property
    def variant(self) -> str:
        """Name of the variant among those of its model: presence and ratio in thousandths."""
        return variant_name(self.presence, self.plan.permille)


def variant_name(presence: Presence, permille: int) -> str:
    """Name a variant among those of its model: ``1f-800``."""
    return _variant_name(presence.bits, presence.size, permille)


@lru_cache(maxsize=4096)
def _variant_name(bits: int, size: int, permille: int) -> str:
    return f"{Presence(bits, size).hex}-{permille:03d}"


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis, ``[batch, classes]``.

    Raises:
        WrongInputError: The windows held values so large that the model could not compute with
            them; there is no answer that would mean anything.
    """
    flat = logits.ravel()
    # Their squares add up to something finite only if all of them are; nearly always that is so.
    with np.errstate(all="ignore"):
        squares = flat.dot(flat)
    if not math.isfinite(squares) and not np.isfinite(logits).all():
        raise WrongInputError(
            "the windows hold values so large that the model's answer is not a finite number",
            expected="values as the sensors give them, in their units",
            received="values beyond what the model can compute with",
        )
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def spendings(
    budget: Budget, *, latency_s: float, energy_j: float, power_w: float, accuracy: float
) -> tuple[Spending, ...]:
    """Set every budget that was given beside what was spent of it."""
    both: tuple[tuple[BudgetKind, float | None, float], ...] = (
        ("latency", budget.latency_s, latency_s),
        ("energy", budget.energy_j, energy_j),
        ("power", budget.power_w, power_w),
        ("accuracy", budget.accuracy_floor, accuracy),
    )
    return tuple(Spending(kind, asked, spent) for kind, asked, spent in both if asked is not None)
