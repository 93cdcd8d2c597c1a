"""A meter over a sensor of power that must be read again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from sentryfuse.energy.idle import IdlePower
from sentryfuse.energy.integrator import PowerIntegrator
from sentryfuse.energy.meter import Covers, Fault, Quality
from sentryfuse.energy.sampler import Sampler


class PolledMeter:
    """Integrates a power that a thread reads; ``joules()`` never touches the sensor.

    Args:
        source: Which meter this is.
        read_w: Power now in watts; None if it can't be read. Only the thread calls it.
        integrator: Where the samples go.
        idle: Idle power of what the sensor covers.
        clock: Monotone seconds.
        period_s: Time between samples.
        release: Called once on closing.
    """

    quality: Quality = "measured"
    covers: Covers = "node"
    failovers = 0

    def __init__(
        self,
        source: str,
        read_w: Callable[[], float | None],
        *,
        integrator: PowerIntegrator,
        idle: IdlePower,
        clock: Callable[[], float],
        period_s: float,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self._read_w = read_w
        self._integrator = integrator
        self._idle = idle
        self._clock = clock
        self._release = release
        self._lock = threading.Lock()
        self._final_j: float | None = None
        self._sampler = Sampler(self.sample, period_s, name=f"meter-{source}")

    @property
    def idle_power_w(self) -> float:
        """Power when nothing is to be done, as stated or as learnt so far."""
        return self._idle.power_w

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each fault was met."""
        with self._lock:
            return self._integrator.faults

    @property
    def trouble(self) -> Fault | None:
        """Why the sensor can't be believed right now."""
        with self._lock:
            return self._integrator.trouble_at(self._clock())

    def start(self) -> None:
        """Begin to read in the background."""
        self._sampler.start()

    def sample(self) -> None:
        """Read the sensor now."""
        power_w = self._read_w()  # outside the lock: it may take long
        with self._lock:
            now_s = self._clock()
            self._integrator.update(power_w, now_s)
            faults = sum(self._integrator.faults.values())
            self._idle.update(self._integrator.total_j, now_s, faults)

    def joules(self) -> float:
        """Energy since the meter was opened; the latest power is held until the next sample."""
        with self._lock:
            if self._final_j is not None:
                return self._final_j
            return self._integrator.total_at(self._clock())

    def close(self) -> None:
        """Stop reading."""
        final_j = self.joules()
        self._sampler.close()
        with self._lock:
            self._final_j = final_j
            release, self._release = self._release, None
        if release is not None:
            release()
