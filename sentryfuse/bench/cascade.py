"""Cascades played through answers that are already known, against single variants.

A cascade answers with its first variant when that one's top probability reaches the threshold,
else it runs the next one. Accuracy of a cascade says little by itself: what counts is how far it
lies above the front of single variants at the same mean cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Axis = Literal["seconds", "flops"]

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

    def mean(self, presences: slice, weights: Floats | None = None) -> Point:
        """Mean over presences and windows; ``weights`` says how often a recording counts."""
        times = np.ones_like(self.windows) if weights is None else weights
        count = float(times @ self.windows)
        sums = (self.hits, self.seconds, self.flops, self.escalated)
        return Point(*(float((s[presences] @ times).mean()) / count for s in sums))


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


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def gain(
    own: Outcome,
    singles: Sequence[Outcome],
    presences: slice = slice(None),
    weights: Floats | None = None,
    axis: Axis = "seconds",
) -> float:
    """Accuracy of a cascade minus that of the front of single variants at its mean cost."""
    points = [single.mean(presences, weights) for single in singles]
    here = own.mean(presences, weights)
    best = front([(getattr(p, axis), p.accuracy) for p in points], getattr(here, axis))
    return here.accuracy - best


def gain_within(own: Outcome, singles: Sequence[Outcome], weights: Floats | None = None) -> float:
    """Mean over presences of the gain over each presence's own front.

    A threshold shared by all presences spends more where sensors are missing. Single variants
    chosen for each presence could do that too; here this is no merit of the cascade.
    """
    count = len(own.hits)
    gains = [gain(own, singles, slice(i, i + 1), weights) for i in range(count)]
    return float(np.mean(gains))


def resampled(recordings: int, times: int, seed: int = 0) -> Iterable[Floats]:
    """Weights that draw recordings again with replacement, ``times`` times."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        drawn = rng.integers(recordings, size=recordings)
        yield np.bincount(drawn, minlength=recordings).astype(np.float64)


def calibration_error(hit: NDArray[np.bool_], top: NDArray[np.float32]) -> float:
    """Expected calibration error over bins of equal width (Guo et al. 2017, Eq. 3)."""
    bins = np.minimum((top * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    sums = [(hit[bins == b].sum() - top[bins == b].sum(dtype=np.float64)) for b in np.unique(bins)]
    return float(np.abs(sums).sum()) / len(top)
