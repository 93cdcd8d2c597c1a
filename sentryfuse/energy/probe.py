"""What a back end finds on a host: a sensor that can be tried and opened as a meter."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sentryfuse.energy.counted import CounterMeter, EnergyZone
from sentryfuse.energy.counter import MAX_POWER_W
from sentryfuse.energy.idle import IdlePower
from sentryfuse.energy.integrator import PowerIntegrator
from sentryfuse.energy.meter import SensorMeter
from sentryfuse.energy.polled import PolledMeter
from sentryfuse.errors import MeterError

Scope = Literal["board", "cpu", "gpu"]
"""What a sensor sees: a board rail sees the GPU too, a counter of the CPU does not."""

_LOOK_EVERY_S = 0.002
# On a machine so busy that we are not scheduled, time alone proves nothing.
_LOOKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterProbe:
    """Counters of energy that do not overlap."""

    source: str
    reads: str
    """What is counted, for people."""
    scope: Scope
    zones: tuple[EnergyZone, ...]
    resolution_s: float
    """How often the counters tick."""
    keep_period_s: float
    """How often they must be read so that none wraps unseen."""
    inline: bool = True
    """Whether a read is cheap enough for the path of a request."""
    moves_within_s: float | None = None
    """By when a working counter must have ticked; None if that takes too long to wait for."""
    release: Callable[[], None] | None = None

    def read_j(self) -> float | None:
        """Sum of the raw counters; None if one can't be read."""
        values = [zone.read_j() for zone in self.zones]
        return None if None in values else sum(value or 0.0 for value in values)

    def check(self, watch_s: float = 0.0) -> float | None:
        """Read twice and see whether that makes sense.

        Args:
            watch_s: How long to watch at least; more gives a better figure.

        Returns:
            Mean power in watts; None if the counters did not tick meanwhile.

        Raises:
            MeterError: They can't be believed; the message says why.
        """
        patience_s = max(watch_s, self.moves_within_s or 0.0)
        least_looks = _LOOKS if patience_s else 1
        start_j, start_s = self._plausible_j(), time.perf_counter()
        for looks in itertools.count(1):
            now_j, elapsed_s = self._plausible_j(), time.perf_counter() - start_s
            moved = now_j != start_j
            if moved and elapsed_s >= watch_s:
                break
            if not moved and elapsed_s >= patience_s and looks >= least_looks:
                break
            time.sleep(_LOOK_EVERY_S)
        if not moved:
            if self.moves_within_s is not None:
                raise MeterError(f"{self.reads} stands still at {now_j:g} J")
            return None
        # A fall is a wrap or a reset, both of which the meter handles.
        return (now_j - start_j) / elapsed_s if now_j > start_j else None

    def open(self, idle_power_w: float | None, *, default_idle_w: float) -> SensorMeter:
        """Open a meter on it, that learns its idle power if none is given."""
        meter = CounterMeter(
            self.source,
            self.zones,
            idle=IdlePower(idle_power_w, default_w=default_idle_w),
            clock=time.perf_counter,
            period_s=self.keep_period_s,
            inline=self.inline,
            release=self.release,
        )
        meter.start()
        return meter

    def discard(self) -> None:
        """Let go of it without opening it."""
        if self.release is not None:
            self.release()

    def _plausible_j(self) -> float:
        raw_j = self.read_j()
        if raw_j is None:
            raise MeterError(f"{self.reads} can't be read")
        if not (math.isfinite(raw_j) and raw_j >= 0):
            raise MeterError(f"{self.reads} reads {raw_j:g} J, which can't be")
        return raw_j


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerProbe:
    """A sensor of power."""

    source: str
    reads: str
    """What is read, for people."""
    scope: Scope
    read_w: Callable[[], float | None]
    period_s: float
    """How often to read it."""
    max_gap_s: float
    """How long one reading may stand for what follows it."""
    frozen_after_s: float
    """How long the very same figure is plausible."""
    release: Callable[[], None] | None = None

    @property
    def resolution_s(self) -> float:
        """How often its figure is new."""
        return self.period_s

    def check(self, watch_s: float = 0.0) -> float | None:
        """Read twice and see whether that makes sense.

        Args:
            watch_s: Not needed: a power is known at once.

        Returns:
            Power in watts.

        Raises:
            MeterError: It can't be believed; the message says why.
        """
        for _ in range(2):
            power_w = self.read_w()
            if power_w is None:
                raise MeterError(f"{self.reads} can't be read")
            if not (math.isfinite(power_w) and 0 < power_w <= MAX_POWER_W):
                raise MeterError(f"{self.reads} reads {power_w:g} W, which can't be")
        return power_w

    def open(self, idle_power_w: float | None, *, default_idle_w: float) -> SensorMeter:
        """Open a meter on it, that learns its idle power if none is given."""
        meter = PolledMeter(
            self.source,
            self.read_w,
            integrator=PowerIntegrator(
                started_s=time.perf_counter(),
                max_gap_s=self.max_gap_s,
                frozen_after_s=self.frozen_after_s,
            ),
            idle=IdlePower(idle_power_w, default_w=default_idle_w),
            clock=time.perf_counter,
            period_s=self.period_s,
            release=self.release,
        )
        meter.start()
        return meter

    def discard(self) -> None:
        """Let go of it without opening it."""
        if self.release is not None:
            self.release()


Probe = CounterProbe | PowerProbe
