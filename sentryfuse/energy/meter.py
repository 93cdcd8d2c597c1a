"""What every energy meter promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

Quality = Literal["measured", "modelled"]
"""How a figure in joules was come by; it goes along with every figure that leaves the process."""

Covers = Literal["node", "process"]
"""Whose work the joules above idle pay for: that of every process on the node, or of this one.

A request's energy is its share of CPU time in them; see :mod:`sentryfuse.energy.cpu_clock`.
"""

Fault = Literal["wrap", "reset", "absurd", "frozen", "vanished"]
"""What can be odd about a sensor.

``wrap``: a counter passed its range and began anew. ``reset``: it fell and can't have wrapped.
``absurd``: it reads what can't be. ``frozen``: it stands still. ``vanished``: it can't be read.
"""


class Meter(Protocol):
    """Cumulative energy of the node, and how it is known."""

    @property
    def source(self) -> str:
        """Which meter this is: a name from a closed set, fit for a metric's label."""
        ...

    @property
    def quality(self) -> Quality:
        """Whether its figures are measured or modelled."""
        ...

    @property
    def covers(self) -> Covers:
        """Whose work its active energy pays for."""
        ...

    @property
    def idle_power_w(self) -> float:
        """Power of the node when it has nothing to do, as stated or as learnt so far."""
        ...

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each fault was met since the meter was opened."""
        ...

    @property
    def failovers(self) -> int:
        """How often another meter had to take over."""
        ...

    def joules(self) -> float:
        """Energy since the meter was opened, idle included; never less than before.

        Cheap enough for a request's path: at most a few reads of kernel counters, never a wait.
        """
        ...

    def close(self) -> None:
        """Let go of threads and libraries; calling it again does nothing."""
        ...


class SensorMeter(Meter, Protocol):
    """A meter that reads hardware, which may fail."""

    @property
    def trouble(self) -> Fault | None:
        """What keeps it from being believed right now; None while it is well."""
        ...
