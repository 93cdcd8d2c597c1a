"""Cascades played through answers that are already known, against single variants.

A cascade answers with its first variant when that one's top probability reaches the threshold,
else it runs the next one. Accuracy of a cascade says little by itself: what counts is how far it
lies above the front of single variants at the same mean cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Axis = Literal["seconds", "flops"]
Baseline = Callable[[Iterable[tuple[float, float]], float], float]
"""Accuracy that single variants, as (cost, accuracy), reach at a mean cost."""

_CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Answers:
    """What every variant says of one set of windows.

    Args:
        hit: Whether the top class is right, ``[presences, variants, windows]``.
        top: The top class's probability, same shape.
        recording: Which recording a window is from, 0.. without gaps, ``[windows]``: windows of
            one recording are alike, so it is recordings that are drawn when drawing again.
    """

    hit: NDArray[np.bool_]
    top: NDArray[np.float32]
    recording: NDArray[np.int64]


@dataclass(frozen=True)
class Costs:
    """What one window costs in every variant.

    Args:
        seconds: ``[presences, variants]``.
        flops: Same shape.
        decide_seconds: To take the top probability of an answer and compare it.
    """

    seconds: Floats
    flops: Floats
    decide_seconds: float


@dataclass(frozen=True)
class Cascade:
    """Variants by their index, in the order they run; a single variant is a cascade of one."""

    variants: tuple[int, ...]
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """Means for one window."""

    accuracy: float
    seconds: float
    flops: float
    escalated: float
    """Share of windows that more than the first variant ran for."""


@dataclass(frozen=True)
class Outcome:
    """Sums over each recording, ``[presences, recordings]``; ``windows`` is ``[recordings]``."""

    windows: Floats
    hits: Floats
    seconds: Floats
    flops: Floats
    escalated: Floats

    def means(self, presences: slice, weights: Floats) -> Floats:
        """Accuracy, seconds, FLOPs and share escalated, ``[4, draws]``.

        Args:
            presences: Which presences to average over.
            weights: How often each recording counts, ``[draws, recordings]``.
        """
        sums = (self.hits, self.seconds, self.flops, self.escalated)
        by_recording = np.array([s[presences].mean(axis=0) for s in sums])
        means: Floats = by_recording @ weights.T / (weights @ self.windows)
        return means

    def mean(self, presences: slice) -> Point:
        """Mean over presences and windows."""
        everything = np.ones((1, len(self.windows)))
        return Point(*self.means(presences, everything)[:, 0].tolist())


def play(cascade: Cascade, answers: Answers, costs: Costs) -> Outcome:
    """Follow a cascade through every presence and window."""
    first = cascade.variants[0]
    hit = answers.hit[:, first]
    ones = np.ones(hit.shape)
    seconds, flops = costs.seconds[:, first, None] * ones, costs.flops[:, first, None] * ones
    unsure, escalated = ones > 0, ones < 0
    for smaller, bigger in pairwise(cascade.variants):
        seconds += costs.decide_seconds * unsure
        unsure = unsure & (answers.top[:, smaller] < cascade.threshold)
        escalated = escalated | unsure
        hit = np.where(unsure, answers.hit[:, bigger], hit)
        seconds += unsure * costs.seconds[:, bigger, None]
        flops += unsure * costs.flops[:, bigger, None]
    member = np.equal.outer(answers.recording, np.arange(answers.recording.max() + 1))
    sums = (ones[0], hit, seconds, flops, escalated)
    return Outcome(*(np.asarray(s, dtype=np.float64) @ member.astype(np.float64) for s in sums))


def front(points: Iterable[tuple[float, float]], cost: float) -> float:
    """Best accuracy at a mean cost, if single variants may be mixed at random.

    That is the upper concave hull of (cost, accuracy), flat after its best point. Below the
    cheapest variant nothing can be had: minus infinity.
    """
    hull: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if hull and y <= hull[-1][1]:
            continue
        if hull and x == hull[-1][0]:
            hull.pop()
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    if cost < hull[0][0]:
        return -np.inf
    return float(np.interp(cost, [x for x, _ in hull], [y for _, y in hull]))


def between(points: Iterable[tuple[float, float]], cost: float) -> float:
    """Accuracy at a mean cost when the two variants next to it in cost are mixed.

    Needs no hindsight, unlike the :func:`front`, which leaves out the variants that did badly on
    these very windows. Flat after the most expensive variant; minus infinity below the cheapest.
    """
    costs, accuracies = zip(*sorted(points), strict=True)
    return -np.inf if cost < costs[0] else float(np.interp(cost, costs, accuracies))


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def gains(
    own: Outcome,
    singles: Sequence[Outcome],
    presences: slice,
    weights: Floats,
    axis: Axis = "seconds",
    against: Baseline = front,
) -> Floats:
    """Accuracy of a cascade minus that of single variants at its mean cost.

    Args:
        own: What the cascade did.
        singles: What each single variant did.
        presences: Which presences to average over.
        weights: How often each recording counts, ``[draws, recordings]``.
        axis: Which cost is to be equal.
        against: What single variants reach at a mean cost.

    Returns:
        ``[draws]``.
    """
    row = {"seconds": 1, "flops": 2}[axis]
    points = np.array([single.means(presences, weights) for single in singles])
    here = own.means(presences, weights)
    return np.array(
        [
            accuracy - against(zip(costs, accuracies, strict=True), cost)
            for accuracy, cost, accuracies, costs in zip(
                here[0].tolist(),
                here[row].tolist(),
                points[:, 0].T.tolist(),
                points[:, row].T.tolist(),
                strict=True,
            )
        ]
    )


def gains_within(
    own: Outcome, singles: Sequence[Outcome], weights: Floats, against: Baseline = front
) -> Floats:
    """Mean over presences of the gain over each presence's own single variants, ``[draws]``.

    A threshold shared by all presences spends more where sensors are missing. Single variants
    chosen for each presence could do that too; here this is no merit of the cascade.
    """
    each = [
        gains(own, singles, slice(i, i + 1), weights, against=against) for i in range(len(own.hits))
    ]
    mean: Floats = np.mean(each, axis=0)
    return mean


def as_they_are(outcome: Outcome) -> Floats:
    """Weights of one draw in which every recording counts once."""
    return np.ones((1, len(outcome.windows)))


def drawn_again(outcome: Outcome, draws: int, seed: int = 0) -> Floats:
    """Weights of draws of the recordings with replacement, ``[draws, recordings]``."""
    recordings = len(outcome.windows)
    rng = np.random.default_rng(seed)
    return rng.multinomial(recordings, np.full(recordings, 1 / recordings), draws).astype(float)


def calibration_error(hit: NDArray[np.bool_], top: NDArray[np.float32]) -> float:
    """Expected calibration error over bins of equal width (Guo et al. 2017, Eq. 3)."""
    bins = np.minimum((top * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    sums = [(hit[bins == b].sum() - top[bins == b].sum(dtype=np.float64)) for b in np.unique(bins)]
    return float(np.abs(sums).sum()) / len(top)
