"""A GPU's meter beside one that does not see the GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sentryfuse.energy.meter import Covers, Fault, Meter, Quality
from sentryfuse.energy.null import NullMeter


class BesideMeter:
    """The sum of two meters that do not overlap.

    Args:
        main: Meter of the processor.
        gpu: Meter of the GPU; once it is a :class:`NullMeter`, only ``main`` counts.
        idle_power_w: Idle power of both together, if the operator states it.
    """

    def __init__(self, main: Meter, gpu: Meter, *, idle_power_w: float | None = None) -> None:
        self._main = main
        self._gpu = gpu
        self._idle_power_w = idle_power_w

    @property
    def source(self) -> str:
        """Both names, joined by a plus."""
        names = [self._main.source, self._gpu.source]
        return "+".join(name for name in names if name != NullMeter.source)

    @property
    def quality(self) -> Quality:
        """Measured only if all that counts is."""
        counting = [self._main, *([self._gpu] if self._gpu.source != NullMeter.source else [])]
        return "measured" if all(m.quality == "measured" for m in counting) else "modelled"

    @property
    def covers(self) -> Covers:
        """That of the processor's meter."""
        return self._main.covers

    @property
    def idle_power_w(self) -> float:
        """As stated, or the sum of both."""
        if self._idle_power_w is not None:
            return self._idle_power_w
        return self._main.idle_power_w + self._gpu.idle_power_w

    @property
    def faults(self) -> Mapping[Fault, int]:
        """Faults of both."""
        return dict(Counter(self._main.faults) + Counter(self._gpu.faults))

    @property
    def failovers(self) -> int:
        """Steps down of both."""
        return self._main.failovers + self._gpu.failovers

    def joules(self) -> float:
        """Energy of both."""
        return self._main.joules() + self._gpu.joules()

    def close(self) -> None:
        """Close both."""
        self._main.close()
        self._gpu.close()
