"""No meter: every figure is zero, and says so by its source."""

from __future__ import annotations

from collections.abc import Mapping

from sentryfuse.energy.meter import Covers, Fault, Quality


class NullMeter:
    """Reads nothing, for hosts and tests that want no energy figures."""

    source = "null"
    quality: Quality = "modelled"
    covers: Covers = "process"
    failovers = 0
    idle_power_w = 0.0

    @property
    def faults(self) -> Mapping[Fault, int]:
        """None."""
        return {}

    def joules(self) -> float:
        """Return zero."""
        return 0.0

    def close(self) -> None:
        """Nothing is held."""
