"""Lets the processor's frequency follow the work, where that is switched on."""

from __future__ import annotations

import math

from app.scheduling.dwell import FrequencyGovernor, power_class
from sentryfuse.energy.cpufreq import FrequencyCap

_MEMORY_S = 2.0
_LEAST_WINDOWS = 1.0


class FrequencyControl:
    """Caps the frequency by the mean pruning ratio of what ran of late.

    Args:
        cap: Writes it.
        now_s: The time now, on the clock of all later calls.
    """

    def __init__(self, cap: FrequencyCap, *, now_s: float) -> None:
        self._cap = cap
        self._governor = FrequencyGovernor(
            transition_latency_s=cap.transition_latency_s, now_s=now_s
        )
        self._now_s = now_s
        self._windows = self._pruned = 0.0

    def update(self, windows: int, pruned: float, now_s: float) -> None:
        """Ask for another frequency if the work has been of another class for long enough.

        Without work there is nothing to follow; an idle processor slows down by itself.

        Args:
            windows: Answered since the last call.
            pruned: The sum of their pruning ratios.
            now_s: The time now.
        """
        kept = math.exp(-max(now_s - self._now_s, 0.0) / _MEMORY_S)
        self._now_s = now_s
        self._windows = kept * self._windows + windows
        self._pruned = kept * self._pruned + pruned
        if self._windows < _LEAST_WINDOWS:
            return
        share = self._governor.update(power_class(self._pruned / self._windows), now_s)
        if share is not None:
            self._cap.set_share(share)

    def close(self) -> None:
        """Put back what was found."""
        self._cap.close()
