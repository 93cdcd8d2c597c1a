"""A made-up node under a power gate: cores that burn joules, a late meter, neighbours, a queue.

Stands in for hardware in closed-loop tests: what it burns differs from what was predicted by a
gain that the gate isn't told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app.scheduling.power_gate import PowerGate

_STEP_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A node with two cores of 5 W above 3 W idle, unless said otherwise."""

    gain: float = 1.0
    """Joules burnt for each predicted one."""
    meter_lag_s: float = 1.0
    meter_period_s: float = 0.25
    told: bool = False
    """Whether requests settle on what they really burnt, or only the meter knows."""
    idle_power_w: float = 3.0
    core_power_w: float = 5.0
    cores: int = 2
    energies_j: tuple[float, ...] = (0.05,)
    """Predicted joules of the requests, in turns."""
    demand_w: Callable[[float], float] = lambda now_s: 100.0
    """Predicted joules per second that arrive; those that can't start at once are shed."""
    neighbour_w: Callable[[float], float] = lambda now_s: 0.0
    """Active power that no request answers for."""
    attributed: bool = True
    """Whether the gate is told of the neighbour, or sees it in the node's power only."""
    cap_w: Callable[[float], float] = lambda now_s: 9.0

    def run(self, seconds: int) -> Trace:
        """Simulate so many seconds."""
        gate = PowerGate(cap_w=self.cap_w(0.0), idle_power_w=self.idle_power_w, now_s=0.0)
        trace = Trace()
        running: list[tuple[float, float]] = []  # predicted joules, and what is left of them
        energies = self._energies()
        waiting_j = next(energies)
        offered_j = 0.0
        for step in range(round(seconds / _STEP_S)):
            now_s = step * _STEP_S
            cap_w = self.cap_w(now_s)
            if cap_w != gate.cap_w:
                gate.set_cap(cap_w, now_s)
            for energy_j, left_j in running:
                if left_j <= 0:
                    gate.settle(energy_j, energy_j * (self.gain if self.told else 1.0), now_s)
            running = [job for job in running if job[1] > 0]
            offered_j = min(offered_j + self.demand_w(now_s) * _STEP_S, 2 * waiting_j)
            while offered_j >= waiting_j and len(running) < self.cores:
                if not gate.admits(waiting_j, now_s):
                    break
                gate.spend(waiting_j, now_s)
                running.append((waiting_j, waiting_j))
                offered_j -= waiting_j
                waiting_j = next(energies)
            neighbour_w = self.neighbour_w(now_s)
            most_j = self.core_power_w * _STEP_S
            burnt_j = self.gain * sum(min(left_j, most_j) for _, left_j in running)
            running = [(energy_j, max(left_j - most_j, 0.0)) for energy_j, left_j in running]
            trace.add(self.idle_power_w + neighbour_w + burnt_j / _STEP_S, neighbour_w, cap_w)
            seen_s = now_s - self.meter_lag_s
            if step % round(self.meter_period_s / _STEP_S) == 0 and seen_s > self.meter_period_s:
                power_w, unattributed_w = trace.mean_w(seen_s, self.meter_period_s)
                gate.observe(power_w, unattributed_w if self.attributed else 0.0, now_s)
        return trace

    def _energies(self) -> Iterator[float]:
        while True:
            yield from self.energies_j


@dataclass
class Trace:
    """What the node burnt, step by step."""

    power_w: list[float] = field(default_factory=list)
    neighbour_w: list[float] = field(default_factory=list)
    cap_w: list[float] = field(default_factory=list)

    def add(self, power_w: float, neighbour_w: float, cap_w: float) -> None:
        self.power_w.append(power_w)
        self.neighbour_w.append(neighbour_w)
        self.cap_w.append(cap_w)

    def mean_w(self, until_s: float, period_s: float) -> tuple[float, float]:
        """Mean power and the neighbours' part of it over one period of the meter."""
        end, count = round(until_s / _STEP_S), round(period_s / _STEP_S)
        part = slice(end - count, end)
        return sum(self.power_w[part]) / count, sum(self.neighbour_w[part]) / count

    def seconds(self, first_s: int, last_s: int) -> list[float]:
        """Mean power of each whole second from the first to before the last, over its cap."""
        count = round(1 / _STEP_S)
        return [
            sum(self.power_w[i : i + count]) / sum(self.cap_w[i : i + count])
            for i in range(first_s * count, last_s * count, count)
        ]
