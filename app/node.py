"""The machine's power: what it draws, who pays for it, and its cap."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.scheduling.accounts import EnergyAccounts
from app.scheduling.power_gate import PowerGate
from sentryfuse.energy import Meter

_SHOWN_SPAN_S = 1.0
_LONGEST_STEP_S = 2.5


class Node:
    """Reads the meter a few times a second, keeps the books, and tells the power gate.

    Nothing here is read on the path of a request.

    Args:
        meter: Where the node's energy is read.
        power_cap_w: The cap to begin with.
        price_j_per_cpu_s: Active power of a busy core, until it was observed.
        cpu_clock: CPU seconds of all that the meter covers.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        power_cap_w: float | None,
        price_j_per_cpu_s: float,
        cpu_clock: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.perf_counter,
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
        self._readings = deque([(now_s, 0.0)])
        self._inferences_j = 0.0

    @property
    def price(self) -> float:
        """Joules of one CPU second of late."""
        return self.accounts.price_j_per_cpu_s

    def charge(self, cpu_s: float) -> float:
        """Book CPU seconds that went into requests; return the joules they cost."""
        return self.accounts.charge(cpu_s)

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
        self.gate.observe(power_w, max(power_w - idle_w - let_through_w, 0.0), now_s)
        self._inferences_j = inferences_j
        self._readings.append((now_s, total_j))
        while now_s - self._readings[1][0] >= _SHOWN_SPAN_S:
            self._readings.popleft()
        then_s, joules_then = self._readings[0]
        self.power_w = (total_j - joules_then) / (now_s - then_s)
