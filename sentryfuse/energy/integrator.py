"""From a power read now and then to joules: the trapezoid rule over irregular samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from sentryfuse.energy.counter import MAX_POWER_W
from sentryfuse.energy.meter import Fault
from sentryfuse.energy.streak import Streak
from sentryfuse.errors import ConfigError


class PowerIntegrator:
    """Adds up power over time and counts what was odd.

    Between two samples the power is taken as a straight line. A sample speaks for at most
    ``max_gap_s``: after a longer gap, energy beyond that is left out rather than made up, and the
    source counts as ``vanished``. ``absurd``: a power that is no number, not positive or above the
    limit; left out. ``frozen``: the same figure for too long; counted once until it changes.

    Args:
        started_s: When the source was opened, on the clock of the samples.
        max_gap_s: How long one sample may stand for what follows it.
        max_power_w: The most that can plausibly be read.
        frozen_after_s: How long the very same figure is plausible; None if for ever.
    """

    def __init__(
        self,
        *,
        started_s: float,
        max_gap_s: float,
        max_power_w: float = MAX_POWER_W,
        frozen_after_s: float | None = None,
    ) -> None:
        limits = {
            "max_gap_s": max_gap_s,
            "max_power_w": max_power_w,
            "frozen_after_s": frozen_after_s,
        }
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be positive, got {value}")
        self._started_s = started_s
        self._max_gap_s = max_gap_s
        self._max_power_w = max_power_w
        self._frozen_after_s = frozen_after_s
        self._latest: tuple[float, float] | None = None  # watts, and when they were read
        self._same_since_s = 0.0
        self._frozen = False
        self._vanished = False
        self._total_j = 0.0
        self._shown_j = 0.0
        self._faults: Counter[Fault] = Counter()
        self._streak = Streak()

    @property
    def total_j(self) -> float:
        """Joules up to the latest good sample."""
        return self._total_j

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each fault was met."""
        return dict(self._faults)

    def update(self, power_w: float | None, now_s: float) -> None:
        """Take in one sample.

        Args:
            power_w: What the source says; None if it could not be read.
            now_s: When it was read, on a monotone clock.
        """
        if power_w is None:
            self._streak.bad("vanished")
            self._count_vanished()
        elif not (math.isfinite(power_w) and 0 < power_w <= self._max_power_w):
            self._streak.bad("absurd")
            self._faults["absurd"] += 1
        elif self._latest is None:
            self._take(power_w, now_s)
            self._same_since_s = now_s
        elif now_s > self._latest[1]:
            self._add(power_w, now_s)
            self._compare(power_w, now_s)
            self._take(power_w, now_s)

    def total_at(self, now_s: float) -> float:
        """Joules up to now, the latest sample held; never less than was said before."""
        if self._latest is not None:
            power_w, then_s = self._latest
            held_s = min(max(now_s - then_s, 0.0), self._max_gap_s)
            self._shown_j = max(self._shown_j, self._total_j + power_w * held_s)
        return self._shown_j

    def trouble_at(self, now_s: float) -> Fault | None:
        """Why the source can't be believed now: frozen, bad several times in a row, or silent."""
        if self._frozen:
            return "frozen"
        heard_s = self._started_s if self._latest is None else self._latest[1]
        if now_s - heard_s > self._max_gap_s:
            return self._streak.trouble or "vanished"
        return self._streak.trouble

    def _take(self, power_w: float, now_s: float) -> None:
        self._latest = (power_w, now_s)
        self._vanished = False
        self._streak.good()

    def _add(self, power_w: float, now_s: float) -> None:
        assert self._latest is not None
        before_w, before_s = self._latest
        elapsed_s = now_s - before_s
        if elapsed_s <= self._max_gap_s:
            self._total_j += 0.5 * (before_w + power_w) * elapsed_s
        else:
            self._total_j += before_w * self._max_gap_s
            self._count_vanished()

    def _compare(self, power_w: float, now_s: float) -> None:
        assert self._latest is not None
        if power_w != self._latest[0]:
            self._same_since_s = now_s
            self._frozen = False
        elif self._frozen_after_s is not None and not self._frozen:
            self._frozen = now_s - self._same_since_s > self._frozen_after_s
            if self._frozen:
                self._faults["frozen"] += 1

    def _count_vanished(self) -> None:
        if not self._vanished:
            self._vanished = True
            self._faults["vanished"] += 1
