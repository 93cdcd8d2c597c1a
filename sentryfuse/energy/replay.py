"""A recorded counter, played back in step with a clock: for tests, demos and fault drills."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sentryfuse.energy.counter import MAX_POWER_W, MonotoneCounter
from sentryfuse.energy.meter import Covers, Fault, Quality
from sentryfuse.errors import ConfigError, MeterError

_HEADER = ["time_s", "joules"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of a raw counter; it may be as odd as hardware gets."""

    time_s: float
    joules: float


class ReplayMeter:
    """Plays samples back through :class:`MonotoneCounter`; the last one stands for ever.

    Args:
        samples: Readings in ascending order of time; the first is where the meter starts.
        quality: How the recording was made.
        idle_power_w: Idle power of the node it was made on.
        range_j: Where the recorded counter wraps; None if it never does.
        max_power_w: The most it can plausibly gain per second.
        frozen_after_s: How long it may stand still; None if it may do so for ever.
        clock: Monotone seconds.

    Raises:
        ConfigError: There are no samples or they are out of order.
    """

    source = "replay"
    covers: Covers = "node"
    failovers = 0

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        quality: Quality = "measured",
        idle_power_w: float = 0.0,
        range_j: float | None = None,
        max_power_w: float = MAX_POWER_W,
        frozen_after_s: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not samples:
            raise ConfigError("a recording needs at least one sample")
        for earlier, later in pairwise(samples):
            if not earlier.time_s < later.time_s:
                raise ConfigError(
                    f"samples of a recording must ascend in time, "
                    f"got {later.time_s} s after {earlier.time_s} s"
                )
        self.quality = quality
        self.idle_power_w = idle_power_w
        self._samples = tuple(samples)
        self._next = 0
        self._clock = clock
        self._offset_s = clock() - samples[0].time_s
        self._counter = MonotoneCounter(
            range_j=range_j, max_power_w=max_power_w, frozen_after_s=frozen_after_s
        )
        self.joules()

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often the recording was odd up to now."""
        return self._counter.faults

    def joules(self) -> float:
        """Energy since the meter was opened, as recorded."""
        now_s = self._clock() - self._offset_s
        while self._next < len(self._samples) and self._samples[self._next].time_s <= now_s:
            sample = self._samples[self._next]
            self._counter.update(sample.joules, sample.time_s)
            self._next += 1
        if self._next:
            self._counter.update(self._samples[self._next - 1].joules, now_s)
        return self._counter.total_j

    def close(self) -> None:
        """Nothing is held."""


def read_recording(path: Path) -> tuple[Sample, ...]:
    """Read samples from a CSV file with the columns ``time_s,joules``.

    Raises:
        MeterError: The file can't be read or is no recording; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MeterError(f"can't read the recording {path}: {error}") from error
    if not rows or rows[0] != _HEADER:
        raise MeterError(f"{path} must begin with the line {','.join(_HEADER)!r}")
    return tuple(_sample(path, line, row) for line, row in enumerate(rows[1:], start=2) if row)


def _sample(path: Path, line: int, row: Sequence[str]) -> Sample:
    try:
        time_s, joules = (float(cell) for cell in row)
    except ValueError as error:
        raise MeterError(f"{path}, line {line}: expected two numbers, got {row}") from error
    if not math.isfinite(time_s):
        raise MeterError(f"{path}, line {line}: time_s must be finite, got {time_s}")
    return Sample(time_s, joules)
