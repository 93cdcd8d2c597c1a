"""The machine as the planner sees it right now: load, slow-down, power and overhead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.scheduling import ArrivalRate, NodeState, Slowdown
from sentryfuse.energy import Meter

_Z = 1.645
"""Plans allow for the slow-down that 95 % of inferences stay under, if it were normal."""
_RATE_WINDOW_S = 10.0
_SHORTEST_POWER_SPAN_S = 1.0


@dataclass(frozen=True, slots=True)
class Overhead:
    """What an answer costs beside parsing, waiting and inference, as a filtered estimate.

    Mean and mean deviation follow the newest requests, as round-trip times do in TCP (RFC 6298).
    """

    mean_s: float = 0.0005
    deviation_s: float = 0.00025

    @property
    def allowance_s(self) -> float:
        """Time to set aside for it in a plan."""
        return self.mean_s + 2 * self.deviation_s

    def updated(self, seconds: float) -> Overhead:
        """Take in one request's overhead."""
        error = seconds - self.mean_s
        return Overhead(
            mean_s=self.mean_s + error / 8,
            deviation_s=self.deviation_s + (abs(error) - self.deviation_s) / 4,
        )


class Node:
    """Keeps what is observed of the machine.

    Args:
        meter: Where the node's energy is read.
        power_cap_w: The cap to begin with.
        clock: Monotone seconds.
    """

    def __init__(self, meter: Meter, *, power_cap_w: float | None, clock: Callable[[], float]):
        self.meter = meter
        self.power_cap_w = power_cap_w
        self.slowdown = Slowdown()
        self.overhead = Overhead()
        self._clock = clock
        self._arrivals = ArrivalRate(_RATE_WINDOW_S)
        self._energy_at = (clock(), meter.joules())
        self._power_w = meter.idle_power_w

    @property
    def idle_power_w(self) -> float:
        """Power of the node while it does nothing."""
        return self.meter.idle_power_w

    @property
    def arrival_rate_hz(self) -> float:
        """Requests per second admitted of late."""
        return self._arrivals.rate_hz(self._clock())

    def state(self, *, elapsed_s: float) -> NodeState:
        """The node for a request that has already spent ``elapsed_s`` of its latency budget."""
        return NodeState(
            idle_power_w=self.idle_power_w,
            arrival_rate_hz=self.arrival_rate_hz,
            power_cap_w=self.power_cap_w,
            slowdown=self.slowdown.mean,
            slowdown_margin=_Z * self.slowdown.sigma,
            elapsed_s=elapsed_s + self.overhead.allowance_s,
        )

    def idle_state(self, *, elapsed_s: float) -> NodeState:
        """The same node, were this its only request and nothing slowed it down."""
        return replace(
            self.state(elapsed_s=elapsed_s), arrival_rate_hz=0.0, slowdown=1.0, slowdown_margin=0.0
        )

    def admitted(self) -> None:
        """Count a request that will be served."""
        self._arrivals.record(self._clock())

    def ran(self, *, observed_s: float, profiled_s: float) -> None:
        """Compare an inference with the host profile."""
        self.slowdown = self.slowdown.updated(observed_s / profiled_s)

    def answered(self, *, overhead_s: float) -> None:
        """Take in what a whole answer cost beside its inference."""
        self.overhead = self.overhead.updated(max(overhead_s, 0.0))

    def rate_falls_in_s(self, allowed_hz: float) -> float:
        """How long until the rate is down to ``allowed_hz``, if nothing more is admitted."""
        rate = self.arrival_rate_hz
        return _RATE_WINDOW_S * max(0.0, 1 - allowed_hz / rate) if rate else 0.0

    def power_w(self) -> float:
        """Mean power since the last reading, which is a second old or more."""
        now, joules = self._clock(), self.meter.joules()
        then, joules_then = self._energy_at
        if now - then >= _SHORTEST_POWER_SPAN_S:
            self._power_w = (joules - joules_then) / (now - then)
            self._energy_at = (now, joules)
        return self._power_w
