"""Energy modelled from CPU time, where nothing can be measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from sentryfuse.energy.meter import Covers, Fault, Quality
from sentryfuse.errors import ConfigError

# A small fanless PC: a few watts idle, about five more for each busy core.
WATTS_PER_CORE = 5.0
IDLE_POWER_W = 3.0


class CpuTimeMeter:
    """Idle power x time + watts per core x CPU seconds, of this process unless said otherwise.

    Two programs of equal CPU time can differ by a factor of two or three in power, so its
    figures compare variants on one host and are no substitute for a meter.

    Args:
        watts_per_core: Active power of one busy core.
        idle_power_w: Power of the node when it has nothing to do.
        clock: Monotone seconds.
        covers: Whose CPU seconds ``cpu_clock`` counts.
        cpu_clock: CPU seconds used so far, monotone.

    Raises:
        ConfigError: A power is negative or not finite.
    """

    source = "cpu-time"
    quality: Quality = "modelled"
    failovers = 0

    def __init__(
        self,
        watts_per_core: float = WATTS_PER_CORE,
        idle_power_w: float = IDLE_POWER_W,
        *,
        covers: Covers = "process",
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        for name, value in (("watts_per_core", watts_per_core), ("idle_power_w", idle_power_w)):
            if not 0 <= value < math.inf:
                raise ConfigError(f"{name} must be finite and at least 0, got {value}")
        self.covers: Covers = covers
        self._watts_per_core = watts_per_core
        self._idle_power_w = idle_power_w
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._started_s = clock()
        self._cpu_started_s = cpu_clock()

    @property
    def idle_power_w(self) -> float:
        """Power of the node when it has nothing to do."""
        return self._idle_power_w

    @property
    def faults(self) -> Mapping[Fault, int]:
        """None: clocks of the operating system neither wrap nor lie."""
        return {}

    def joules(self) -> float:
        """Energy since the meter was opened, idle included."""
        elapsed_s = self._clock() - self._started_s
        cpu_s = self._cpu_clock() - self._cpu_started_s
        return self._idle_power_w * elapsed_s + self._watts_per_core * cpu_s

    def close(self) -> None:
        """Nothing is held."""
