"""The node's energy in three books that always add up: idle, requests, overhead."""

from __future__ import annotations

import math

# The price follows windows of so long, in which a core was busy for at least this part.
_PRICE_WINDOW_S = 2.0
_LEAST_BUSY_CORES = 0.05
# So many CPU seconds at a new price move the price half way to it.
_PRICE_CPU_S = 2.0
_SHORTEST_S = 1e-9  # of a window; less is a clock's rounding, and power over it is none
_FILTER_S = 1.0
# What the meter has not shown after about so long, it never will.
_WRITE_OFF_S = 60.0


class EnergyAccounts:
    """Splits metered energy between idling, requests and the rest, and prices requests by it.

    A request is charged CPU seconds x price as soon as it is done, for its receipt can't wait
    for the meter. The price is active energy / CPU seconds of the node of late (the CPU-time
    share of active energy, as Kepler attributes it); on a meter that is a model of CPU time it
    is exactly the model's watts per core.

    A tick closes the books over what the meter gained since the last gain: idle power x time
    first, and of the rest as much as requests were charged; what remains is overhead (HTTP,
    background, neighbours). A receipt is never taken back. Was it too low, the difference is
    overhead. Was it too high, or the meter late, the difference stays unpaid and is booked from
    active energy that comes later, before any overhead; what stays unpaid for about a minute is
    written off. So at every moment, all of them only growing but ``unpaid_j``::

        idle_j + requests_j + overhead_j == total_j
        charged_j == requests_j + unpaid_j + written_off_j

    Args:
        total_energy_j: What the meter says now; the books start here.
        cpu_s: CPU seconds now, of all that the meter covers.
        now_s: The time now, on the clock of all later calls.
        price_j_per_cpu_s: Active power of a busy core, until it was observed.

    Raises:
        ValueError: The price is negative or not finite.
    """

    def __init__(
        self, *, total_energy_j: float, cpu_s: float, now_s: float, price_j_per_cpu_s: float
    ) -> None:
        self.price_j_per_cpu_s = _checked("price_j_per_cpu_s", price_j_per_cpu_s)
        self.total_j = 0.0
        self.idle_j = 0.0
        self.requests_j = 0.0
        self.overhead_j = 0.0
        self.charged_j = 0.0
        self.unpaid_j = 0.0
        self.written_off_j = 0.0
        self.unattributed_w = 0.0
        """Overhead per second, filtered over about a second: what the governor needs."""
        self._meter_j = total_energy_j
        self._cpu_s = cpu_s
        self._now_s = now_s
        self._priced_j = self._priced_cpu_s = self._priced_s = 0.0

    def charge(self, cpu_s: float) -> float:
        """Charge a request that is done.

        Args:
            cpu_s: CPU seconds that it took.

        Returns:
            Its energy in joules, idle power excluded.

        Raises:
            ValueError: The CPU seconds are negative or not finite.
        """
        energy_j = _checked("cpu_s", cpu_s) * self.price_j_per_cpu_s
        self.charged_j += energy_j
        self.unpaid_j += energy_j
        return energy_j

    def take_over(self, energy_j: float) -> None:
        """Take over what others have charged of the energy that this meter sees.

        Raises:
            ValueError: It is negative or not finite.
        """
        energy_j = _checked("energy_j", energy_j)
        self.charged_j += energy_j
        self.unpaid_j += energy_j

    def tick(
        self, total_energy_j: float, cpu_s: float, now_s: float, *, idle_power_w: float
    ) -> None:
        """Close the books over what the meter gained.

        While the meter stands still the window stays open, so a meter that moves in steps is
        judged over whole steps.

        Args:
            total_energy_j: What the meter says now.
            cpu_s: CPU seconds now, of all that the meter covers.
            now_s: The time now.
            idle_power_w: Power of the node that does nothing.

        Raises:
            ValueError: The idle power is negative or not finite.
        """
        _checked("idle_power_w", idle_power_w)
        gained_j, elapsed_s = total_energy_j - self._meter_j, now_s - self._now_s
        if not (0 < gained_j < math.inf and elapsed_s >= _SHORTEST_S):
            return
        active_j = max(gained_j - idle_power_w * elapsed_s, 0.0)
        self._price(active_j, max(cpu_s - self._cpu_s, 0.0), elapsed_s)
        paid_j = min(active_j, self.unpaid_j)
        self.total_j += gained_j
        self.idle_j += gained_j - active_j
        self.requests_j += paid_j
        self.overhead_j += active_j - paid_j
        self._write_off(self.unpaid_j - paid_j, elapsed_s)
        overhead_w = (active_j - paid_j) / elapsed_s
        weight = 1 - math.exp(-elapsed_s / _FILTER_S)
        self.unattributed_w += weight * (overhead_w - self.unattributed_w)
        self._meter_j, self._cpu_s, self._now_s = total_energy_j, cpu_s, now_s

    def _price(self, active_j: float, cpu_s: float, elapsed_s: float) -> None:
        """Let the price follow; a window in which hardly anything ran says nothing about it."""
        self._priced_j += active_j
        self._priced_cpu_s += cpu_s
        self._priced_s += elapsed_s
        if self._priced_s < _PRICE_WINDOW_S:
            return
        if self._priced_cpu_s >= _LEAST_BUSY_CORES * self._priced_s:
            observed = self._priced_j / self._priced_cpu_s
            weight = self._priced_cpu_s / (self._priced_cpu_s + _PRICE_CPU_S)
            self.price_j_per_cpu_s += weight * (observed - self.price_j_per_cpu_s)
        self._priced_j = self._priced_cpu_s = self._priced_s = 0.0

    def _write_off(self, unpaid_j: float, elapsed_s: float) -> None:
        self.unpaid_j = unpaid_j * math.exp(-elapsed_s / _WRITE_OFF_S)
        self.written_off_j += unpaid_j - self.unpaid_j


def _checked(name: str, value: float) -> float:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and at least 0, got {value}")
    return value
