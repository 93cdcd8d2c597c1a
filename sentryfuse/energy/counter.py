"""From a hardware counter that wraps, resets, freezes or lies to joules that only grow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from sentryfuse.energy.meter import Fault
from sentryfuse.energy.streak import Streak
from sentryfuse.errors import ConfigError

# More than any edge node draws: a faster counter is broken.
MAX_POWER_W = 10_000.0


class MonotoneCounter:
    """Adds up the plausible gains of a raw counter and counts what was odd.

    ``wrap``: it passed its range and began anew; nothing is lost. ``reset``: it fell and can't
    have wrapped; what it gained meanwhile is lost. ``absurd``: it reads what can't be, or gained
    faster than any node could; not added. ``frozen``: it stood still for too long; counted once
    until it moves again. ``vanished``: it could not be read; counted once until it can, and what
    it gained meanwhile is then added.

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
        self._vanished = False
        self._total_j = 0.0
        self._faults: Counter[Fault] = Counter()
        self._streak = Streak()

    @property
    def total_j(self) -> float:
        """Joules added up since the first reading."""
        return self._total_j

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each fault was met."""
        return dict(self._faults)

    @property
    def trouble(self) -> Fault | None:
        """Why the counter can't be believed right now: frozen, or bad several times in a row."""
        return "frozen" if self._frozen else self._streak.trouble

    def update(self, raw_j: float | None, now_s: float) -> float:
        """Take in one reading.

        Args:
            raw_j: What the counter says; None if it could not be read.
            now_s: When it was read, on a monotone clock.

        Returns:
            Joules added up since the first reading.
        """
        if raw_j is None:
            self._miss()
            return self._total_j
        self._vanished = False
        if not self._plausible(raw_j):
            self._bad("absurd")
        elif self._base is None:
            self._base = (raw_j, now_s)
            self._streak.good()
        elif raw_j == self._base[0]:
            self._stand_still(now_s - self._base[1])
        elif now_s > self._base[1]:  # else too early to judge: the next reading takes it in
            self._gain(raw_j - self._base[0], now_s - self._base[1])
            self._base = (raw_j, now_s)
            self._frozen = False
        return self._total_j

    def _plausible(self, raw_j: float) -> bool:
        return math.isfinite(raw_j) and 0 <= raw_j <= (self._range_j or math.inf)

    def _bad(self, fault: Fault) -> None:
        self._faults[fault] += 1
        self._streak.bad(fault)

    def _miss(self) -> None:
        self._streak.bad("vanished")
        if not self._vanished:
            self._vanished = True
            self._faults["vanished"] += 1

    def _stand_still(self, elapsed_s: float) -> None:
        """No gain is neither good nor bad: a slow counter does it between two updates."""
        limit_s = self._frozen_after_s
        if limit_s is not None and elapsed_s > limit_s and not self._frozen:
            self._frozen = True
            self._faults["frozen"] += 1

    def _gain(self, gained_j: float, elapsed_s: float) -> None:
        fell = gained_j < 0
        if fell and self._range_j is not None:
            gained_j += self._range_j
        if 0 <= gained_j <= self._max_power_w * elapsed_s:
            self._total_j += gained_j
            self._streak.good()
            if fell:
                self._faults["wrap"] += 1
        else:
            self._bad("reset" if fell else "absurd")
