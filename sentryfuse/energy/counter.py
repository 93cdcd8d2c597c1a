"""From a hardware counter that wraps, resets, freezes or lies to joules that only grow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from sentryfuse.energy.meter import Fault
from sentryfuse.errors import ConfigError

# More than any edge node draws: a faster counter is broken.
MAX_POWER_W = 10_000.0


class MonotoneCounter:
    """Adds up the plausible gains of a raw counter and counts what was odd.

    ``wrap``: it passed its range and began anew; nothing is lost. ``reset``: it fell and can't
    have wrapped; what it gained meanwhile is lost. ``absurd``: it reads what can't be, or gained
    faster than any node could; not added. ``frozen``: it stood still for too long; counted once
    until it moves again.

    Args:
        range_j: Where the counter wraps; None if it never does.
        max_power_w: The most it can plausibly gain per second.
        frozen_after_s: How long it may stand still; None if it may do so for ever.
    """

    def __init__(
        self,
        *,
        range_j: float | None = None,
        max_power_w: float = MAX_POWER_W,
        frozen_after_s: float | None = None,
    ) -> None:
        limits = {"range_j": range_j, "max_power_w": max_power_w, "frozen_after_s": frozen_after_s}
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be positive, got {value}")
        self._range_j = range_j
        self._max_power_w = max_power_w
        self._frozen_after_s = frozen_after_s
        self._base: tuple[float, float] | None = None  # raw joules, and when they were first read
        self._frozen = False
        self._total_j = 0.0
        self._faults: Counter[Fault] = Counter()

    @property
    def total_j(self) -> float:
        """Joules added up since the first reading."""
        return self._total_j

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each fault was met."""
        return dict(self._faults)

    def update(self, raw_j: float, now_s: float) -> float:
        """Take in one reading.

        Args:
            raw_j: What the counter says.
            now_s: When it was read, on a monotone clock.

        Returns:
            Joules added up since the first reading.
        """
        if not self._readable(raw_j):
            self._faults["absurd"] += 1
        elif self._base is None:
            self._base = (raw_j, now_s)
        elif raw_j == self._base[0]:
            self._stand_still(now_s - self._base[1])
        elif now_s > self._base[1]:  # else too early to judge: the next reading takes it in
            self._gain(raw_j - self._base[0], now_s - self._base[1])
            self._base = (raw_j, now_s)
            self._frozen = False
        return self._total_j

    def _readable(self, raw_j: float) -> bool:
        return math.isfinite(raw_j) and 0 <= raw_j <= (self._range_j or math.inf)

    def _stand_still(self, elapsed_s: float) -> None:
        limit_s = self._frozen_after_s
        if limit_s is not None and elapsed_s > limit_s and not self._frozen:
            self._frozen = True
            self._faults["frozen"] += 1

    def _gain(self, gained_j: float, elapsed_s: float) -> None:
        fell = gained_j < 0
        if fell and self._range_j is not None:
            gained_j += self._range_j
        plausible = 0 <= gained_j <= self._max_power_w * elapsed_s
        if plausible:
            self._total_j += gained_j
        if fell:
            self._faults["wrap" if plausible else "reset"] += 1
        elif not plausible:
            self._faults["absurd"] += 1
