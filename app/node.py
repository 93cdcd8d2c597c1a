"""The machine as observed: what it draws, who pays for it, and what an answer costs."""

from __future__ import annotations

from collections.abc import Callable

from app.overhead import CoreOverhead, Overhead
from app.scheduling.power_gate import PowerGate
from sentryfuse.energy import Meter

_SHORTEST_POWER_SPAN_S = 1.0


class Node:
    """Keeps what is observed of the machine.

    Args:
        meter: Where the node's energy is read.
        gate: Keeps the node's power cap.
        watts_per_core: Active power of a busy core.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        meter: Meter,
        gate: PowerGate,
        *,
        watts_per_core: float,
        clock: Callable[[], float],
    ) -> None:
        self.meter = meter
        self.gate = gate
        self.overhead = Overhead()
        self.core_overhead = CoreOverhead()
        self._watts = watts_per_core
        self._clock = clock
        self._energy_at = (clock(), meter.joules())
        self._power_w = meter.idle_power_w

    @property
    def price(self) -> float:
        """Joules of one CPU second."""
        return self._watts

    def charge(self, cpu_s: float) -> float:
        """Book CPU seconds that went into requests; return the joules they cost."""
        return cpu_s * self._watts

    def answered(self, *, overhead_s: float) -> None:
        """Take in what a whole answer cost beside its inference."""
        self.overhead = self.overhead.updated(max(overhead_s, 0.0))

    def doubted(self) -> None:
        """A request was refused for its deadline although the machine is idle."""
        self.overhead = self.overhead.doubted()

    def power_w(self) -> float:
        """Mean power since the last reading, which is a second old or more."""
        now, joules = self._clock(), self.meter.joules()
        then, joules_then = self._energy_at
        if now - then >= _SHORTEST_POWER_SPAN_S:
            self._power_w = (joules - joules_then) / (now - then)
            self._energy_at = (now, joules)
        return self._power_w
