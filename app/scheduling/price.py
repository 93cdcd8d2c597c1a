"""What a second of a core is worth in accuracy right now: the shadow price of core time."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from app.scheduling.menu import Menu

_BATCH = 4  # at which variants are compared: about what waits for one group under load
_REFRESH = 16
# Records between two looks at the mix: it drifts slowly, and looking costs what 10 choices do.
_FORGOTTEN = 1e-3  # part of one window below which a group is left out of the mix


@dataclass(slots=True)
class _Share:
    """One group's part of the mix."""

    least_core_s: float
    """Of its cheapest variant."""
    steps: tuple[tuple[float, float], ...]
    """(accuracy per core second, core seconds) of each better one: the concave hull."""
    weight: float = 0.0
    """Windows served lately, later ones counting more."""


class CoreTimePrice:
    """Accuracy that a second of a core buys at the margin, from the mix of what was served lately.

    If every group takes each step to a better variant that pays at least a price, their mean core
    time is some number; the price at which it equals what there is makes the best use of it
    (Lagrange). A fair share is not the best: for one sensor 0.2 ms more may gain 18 points, for
    five 2 ms may gain one.

    Args:
        memory_windows: After so many windows, a window counts 1/e in the mix.
    """

    def __init__(self, memory_windows: float = 128.0) -> None:
        self._memory = memory_windows
        self._shares: WeakKeyDictionary[Menu, _Share] = WeakKeyDictionary()
        self._unit = 1.0
        """What a window weighs now: it grows, instead of all others shrinking."""
        self._until_refresh = 0
        self._mean_core_s: list[float] = []
        self._slopes: list[float] = []

    def record(self, menu: Menu, windows: int) -> None:
        """Count windows that are about to be served for a group."""
        share = self._shares.get(menu)
        if share is None:
            share = self._shares[menu] = _hull(menu)
        self._unit *= math.exp(windows / self._memory)
        share.weight += windows * self._unit
        self._until_refresh -= 1
        if self._until_refresh <= 0:
            self._refresh()
            self._until_refresh = _REFRESH

    def at(self, core_s: float) -> float:
        """Price at which a window takes so much core time on average; 0 if it can't take more."""
        rank = bisect_right(self._mean_core_s, core_s)
        return self._slopes[rank] if rank < len(self._slopes) else 0.0

    def _refresh(self) -> None:
        for share in self._shares.values():
            share.weight /= self._unit
        self._unit = 1.0
        shares = [share for share in self._shares.values() if share.weight > _FORGOTTEN]
        total = sum(share.weight for share in shares)
        mean_core_s = sum(share.weight * share.least_core_s for share in shares) / total
        steps = sorted(
            (
                (slope, share.weight * core_s / total)
                for share in shares
                for slope, core_s in share.steps
            ),
            reverse=True,
        )
        self._slopes = [slope for slope, _ in steps]
        self._mean_core_s = []
        for _, core_s in steps:
            mean_core_s += core_s
            self._mean_core_s.append(mean_core_s)


def _hull(menu: Menu) -> _Share:
    """Upper concave hull of a group's accuracy over core time."""
    points: dict[float, float] = {}
    for offer in menu.offers((1,) * _BATCH):
        if offer.requests == _BATCH:
            points[offer.core_s] = max(points.get(offer.core_s, 0.0), offer.accuracy)
    (least_core_s, height), *better = sorted(points.items())
    at_s = least_core_s
    steps: list[tuple[float, float]] = []
    for core_s, accuracy in better:
        if accuracy <= height:
            continue
        gain, cost_s = accuracy - height, core_s - at_s
        while steps and cost_s * steps[-1][0] <= gain:
            slope, earlier_s = steps.pop()
            gain, cost_s = gain + slope * earlier_s, cost_s + earlier_s
        steps.append((gain / cost_s, cost_s))
        at_s, height = core_s, accuracy
    return _Share(least_core_s, tuple(steps))
