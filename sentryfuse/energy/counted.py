"""A meter over counters of energy, such as those of RAPL."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sentryfuse.energy.counter import MAX_POWER_W, MonotoneCounter
from sentryfuse.energy.idle import IdlePower
from sentryfuse.energy.meter import Covers, Fault, Quality
from sentryfuse.energy.sampler import Sampler

# Two readings closer than this are one: counters tick about every millisecond.
SHORTEST_INTERVAL_S = 0.010


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyZone:
    """One counter of energy."""

    name: str
    read_j: Callable[[], float | None]
    """Raw joules; None if they can't be read."""
    range_j: float | None = None
    """Where the counter wraps; None if that is unknown or never."""
    max_power_w: float = MAX_POWER_W
    frozen_after_s: float | None = None


class CounterMeter:
    """Adds up counters, each of which wraps by itself.

    Args:
        source: Which meter this is.
        zones: Counters that do not overlap.
        idle: Idle power of what they cover.
        clock: Monotone seconds.
        period_s: How often a thread reads the counters, so that none wraps unseen.
        inline: Whether ``joules()`` reads the counters too; if not, it says what the thread saw
            last, for counters that are slow to read.
        release: Called once on closing.
    """

    quality: Quality = "measured"
    covers: Covers = "node"
    failovers = 0

    def __init__(
        self,
        source: str,
        zones: Sequence[EnergyZone],
        *,
        idle: IdlePower,
        clock: Callable[[], float],
        period_s: float,
        inline: bool = True,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self._zones = tuple(zones)
        self._counters = tuple(
            MonotoneCounter(
                range_j=zone.range_j,
                max_power_w=zone.max_power_w,
                frozen_after_s=zone.frozen_after_s,
            )
            for zone in zones
        )
        self._idle = idle
        self._clock = clock
        self._inline = inline
        self._release = release
        self._lock = threading.Lock()
        self._closed = False
        self._sampler = Sampler(self.sample, period_s, name=f"meter-{source}")
        self.sample()
        self._read_at_s = clock()

    @property
    def idle_power_w(self) -> float:
        """Power when nothing is to be done, as stated or as learnt so far."""
        return self._idle.power_w

    @property
    def faults(self) -> Mapping[Fault, int]:
        """Faults of all counters."""
        total: Counter[Fault] = Counter()
        for counter in self._counters:
            total.update(counter.faults)
        return dict(total)

    @property
    def trouble(self) -> Fault | None:
        """Trouble of the first counter that has any: the sum is only as good as its worst part."""
        return next((c.trouble for c in self._counters if c.trouble), None)

    def start(self) -> None:
        """Begin to read in the background."""
        self._sampler.start()

    def sample(self) -> None:
        """Read all counters now."""
        with self._lock:
            if self._closed:
                return
            for zone, counter in zip(self._zones, self._counters, strict=True):
                raw_j = zone.read_j()
                counter.update(raw_j, self._clock())
            now_s = self._read_at_s = self._clock()
            self._idle.update(self._total_j(), now_s, sum(self.faults.values()))

    def joules(self) -> float:
        """Energy since the meter was opened."""
        if self._inline and self._clock() - self._read_at_s >= SHORTEST_INTERVAL_S:
            self.sample()
        return self._total_j()

    def close(self) -> None:
        """Stop reading."""
        self._sampler.close()
        with self._lock:
            release, self._release = self._release, None
            self._closed = True
        if release is not None:
            release()

    def _total_j(self) -> float:
        return sum(counter.total_j for counter in self._counters)
