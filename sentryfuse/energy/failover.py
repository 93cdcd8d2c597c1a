"""A chain of meters: when the one in use fails, the next goes on from the same sum."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from sentryfuse.energy.meter import Covers, Fault, Meter, Quality, SensorMeter
from sentryfuse.errors import MeterError

logger = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""How long trouble must last; a process that was stopped for a while sees some on waking up."""


class FailoverMeter:
    """Reads the first meter of a chain and steps down one when it is in trouble.

    The sum stays monotone: the next meter adds to what was counted so far. What was used between
    the last good reading and the step is lost. There is no way back up: a sensor that failed
    once would make the figures jump between two sources.

    Args:
        sensors: How to open each meter, the best first; one that can't be opened is passed over.
        last: What to use when no sensor is left; it has no trouble.
        clock: Monotone seconds.
        patience_s: How long trouble must last before stepping down.
    """

    def __init__(
        self,
        sensors: Iterable[Callable[[], SensorMeter]],
        last: Callable[[], Meter],
        *,
        clock: Callable[[], float] = time.perf_counter,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._waiting = list(sensors)
        self._last = last
        self._clock = clock
        self._patience_s = patience_s
        self._trouble_since_s: float | None = None
        self._base_j = 0.0
        self._past_faults: Counter[Fault] = Counter()
        self._failovers = 0
        self._lock = threading.Lock()
        self._sensor: SensorMeter | None = None
        self._meter: Meter = self._open_next()

    @property
    def source(self) -> str:
        """The meter in use."""
        return self._meter.source

    @property
    def quality(self) -> Quality:
        """That of the meter in use."""
        return self._meter.quality

    @property
    def covers(self) -> Covers:
        """That of the meter in use."""
        return self._meter.covers

    @property
    def idle_power_w(self) -> float:
        """That of the meter in use."""
        return self._meter.idle_power_w

    @property
    def faults(self) -> Mapping[Fault, int]:
        """Faults of all meters used so far."""
        return dict(self._past_faults + Counter(self._meter.faults))

    @property
    def failovers(self) -> int:
        """Steps down so far."""
        return self._failovers

    def joules(self) -> float:
        """Energy since the chain was opened."""
        with self._lock:
            total_j = self._base_j + self._meter.joules()
            trouble = self._lasting_trouble()
            if trouble is not None:
                self._step_down(total_j, trouble)
            return total_j

    def close(self) -> None:
        """Close the meter in use."""
        self._meter.close()

    def _lasting_trouble(self) -> Fault | None:
        trouble = None if self._sensor is None else self._sensor.trouble
        now_s = self._clock()
        if trouble is None:
            self._trouble_since_s = None
        elif self._trouble_since_s is None:
            self._trouble_since_s = now_s
        elif now_s - self._trouble_since_s >= self._patience_s:
            return trouble
        return None

    def _step_down(self, total_j: float, trouble: Fault) -> None:
        failed = self._meter
        self._past_faults.update(failed.faults)
        self._meter = self._open_next()
        self._base_j = total_j
        self._failovers += 1
        self._trouble_since_s = None
        logger.warning(
            "energy meter %s is %s: going on with %s", failed.source, trouble, self._meter.source
        )
        # Its thread may hang in a read, which is no reason for a request to wait.
        threading.Thread(target=failed.close, name="meter-close", daemon=True).start()

    def _open_next(self) -> Meter:
        while self._waiting:
            try:
                self._sensor = self._waiting.pop(0)()
                return self._sensor
            except MeterError as error:
                logger.warning("an energy meter could not be opened: %s", error)
        self._sensor = None
        return self._last()
