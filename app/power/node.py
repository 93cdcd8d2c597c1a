"""The machine's power: what it draws, who pays for it, and its cap."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.scheduling.accounts import EnergyAccounts
from app.scheduling.power_gate import PowerGate
from sentryfuse.energy import Meter

_SHOWN_SPAN_S = 1.0
_LONGEST_STEP_S = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a process reports of the node's power and energy, so that all reports add up."""

    power_w: float
    idle_j: float
    requests_j: float
    overhead_j: float


class Node:
    """Reads the meter a few times a second, keeps the books, and tells the power gate.

    Nothing here is read on the path of a request.

    Args:
        meter: Where the node's energy is read.
        power_cap_w: The cap to begin with.
        price_j_per_cpu_s: Active power of a busy core, until it was observed.
        cpu_clock: CPU seconds of all that the meter covers.
        clock: Monotone seconds.
        processes: How many processes keep the node under its cap, each with its share of it.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        power_cap_w: float | None,
        price_j_per_cpu_s: float,
        cpu_clock: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.perf_counter,
        processes: int = 1,
    ) -> None:
        now_s = clock()
        self.meter = meter
        self.gate = PowerGate(cap_w=power_cap_w, idle_power_w=meter.idle_power_w, now_s=now_s)
        self.accounts = EnergyAccounts(
            total_energy_j=0.0,  # so that the books are of all that the meter counts
            cpu_s=cpu_clock(),
            now_s=now_s,
            price_j_per_cpu_s=price_j_per_cpu_s,
        )
        self.power_w = meter.idle_power_w
        """Mean power of the last second."""
        self._cpu_clock = cpu_clock
        self._clock = clock
        self._shares = processes if meter.covers == "node" else 1
        self._readings = deque([(now_s, 0.0)])
        self._inferences_j = 0.0

    @property
    def price(self) -> float:
        """Joules of one CPU second of late."""
        return self.accounts.price_j_per_cpu_s

    def share_of(self, *, leads: bool) -> Drawn:
        """Return what this process reports.

        One of them speaks for what there is once. Where the meter sees a process only, each
        reports its own work; where it sees the node, that one reports all of it.

        Args:
            leads: Whether it is this process that does.
        """
        accounts = self.accounts
        if leads:
            return Drawn(
                power_w=self.power_w,
                idle_j=accounts.idle_j,
                requests_j=accounts.requests_j,
                overhead_j=accounts.overhead_j,
            )
        if self.meter.covers == "node":
            return Drawn(power_w=0.0, idle_j=0.0, requests_j=0.0, overhead_j=0.0)
        return Drawn(
            power_w=max(self.power_w - self.meter.idle_power_w, 0.0),
            idle_j=0.0,
            requests_j=accounts.requests_j,
            overhead_j=accounts.overhead_j,
        )

    def charge(self, cpu_s: float) -> float:
        """Book CPU seconds that went into requests; return the joules they cost."""
        return self.accounts.charge(cpu_s)

    def charge_others(self, energy_j: float) -> None:
        """Book energy that requests in other processes cost, where the meter covers them too."""
        if self.meter.covers == "node":
            self.accounts.take_over(energy_j)

    def tick(self, inferences_j: float) -> None:
        """Take in what the meter says now.

        Args:
            inferences_j: Energy of all inferences so far: what the power gate let through.
        """
        now_s, total_j, idle_w = self._clock(), self.meter.joules(), self.meter.idle_power_w
        then_s, joules_then = self._readings[-1]
        elapsed_s = now_s - then_s
        # A sensor that is read once a second moves in steps: judge it over whole ones.
        if elapsed_s <= 0 or (total_j == joules_then and elapsed_s < _LONGEST_STEP_S):
            return
        self.accounts.tick(total_j, self._cpu_clock(), now_s, idle_power_w=idle_w)
        if idle_w != self.gate.idle_power_w:
            self.gate.set_idle_power(idle_w, now_s)
        power_w = (total_j - joules_then) / elapsed_s
        let_through_w = (inferences_j - self._inferences_j) / elapsed_s
        # The gate keeps one process to its share, so that is what it must see.
        own_w = idle_w + (power_w - idle_w) / self._shares
        self.gate.observe(own_w, max(own_w - idle_w - let_through_w, 0.0), now_s)
        self._inferences_j = inferences_j
        self._readings.append((now_s, total_j))
        while now_s - self._readings[1][0] >= _SHOWN_SPAN_S:
            self._readings.popleft()
        then_s, joules_then = self._readings[0]
        self.power_w = (total_j - joules_then) / (now_s - then_s)
