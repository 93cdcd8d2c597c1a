"""Cost over FLOPs and batch size, made monotone and interpolated."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class CostGrid:
    """Costs at knots of FLOPs x batch, rising along both.

    Plain Python: a planner asks for a handful of points at a time, for which NumPy's calls
    take longer than the arithmetic.
    """

    flops: tuple[int, ...]
    batches: tuple[int, ...]
    costs: tuple[tuple[float, ...], ...]
    """``[batches][flops]``"""

    @classmethod
    def fit(cls, samples: Sequence[tuple[int, int, float]]) -> CostGrid:
        """Fit a grid to (FLOPs, batch, cost), at least one."""
        measured: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for flops, batch, cost in samples:
            measured[batch][flops].append(cost)
        knots = tuple(sorted({flops for flops, _, _ in samples}))
        batches = tuple(sorted(measured))
        rows: list[tuple[float, ...]] = []
        for batch in batches:
            curve = _ascending({f: fmean(measured[batch][f]) for f in sorted(measured[batch])})
            row = tuple(interpolate(tuple(curve), tuple(curve.values()), f) for f in knots)
            rows.append(tuple(map(max, row, rows[-1])) if rows else row)
        return cls(knots, batches, tuple(rows))

    def at(self, flops: int, batch: int) -> float:
        """Interpolate; constant below the first knot and in proportion after the last."""
        column = tuple(interpolate(self.flops, row, flops) for row in self.costs)
        return interpolate(self.batches, column, batch)


def interpolate(knots: Sequence[int], values: Sequence[float], x: int) -> float:
    """Interpolate linearly; constant below the first knot and in proportion after the last."""
    i = bisect_right(knots, x)
    if i == 0:
        return values[0]
    if i == len(knots):
        return values[-1] * (x / knots[-1])
    share = (x - knots[i - 1]) / (knots[i] - knots[i - 1])
    return values[i - 1] + share * (values[i] - values[i - 1])


def _ascending(curve: Mapping[int, float]) -> dict[int, float]:
    """Replace values that fall by the mean of their neighbourhood (pool adjacent violators)."""
    pools: list[list[float]] = []
    for cost in curve.values():
        pools.append([cost])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    levels = [fmean(pool) for pool in pools for _ in pool]
    return dict(zip(curve, levels, strict=True))
