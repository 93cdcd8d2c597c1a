"""What every energy meter promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

Quality = Literal["measured", "modelled"]
"""How a figure in joules was come by; it goes along with every figure that leaves the process."""

Fault = Literal["wrap", "reset", "absurd", "frozen"]
"""What can be odd about a counter of joules; see :class:`sentryfuse.energy.MonotoneCounter`."""


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
    def idle_power_w(self) -> float:
        """Power of the node when it has nothing to do."""
        ...

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each fault was met since the meter was opened."""
        ...

    def joules(self) -> float:
        """Energy since the meter was opened, idle included; never less than before."""
        ...
