"""CPU time, by which energy is shared out among those who used it.

A request's energy is ``active energy x its CPU seconds / all CPU seconds that the meter covers``
over the same span, where active = total - idle power x time (Kepler's attribution). What a meter
covers it says itself: :data:`sentryfuse.energy.Covers`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sentryfuse.energy.meter import Covers
from sentryfuse.errors import MeterError

PROC = Path("/proc")

_BUSY = (0, 1, 2, 5, 6)
"""user, nice, system, irq, softirq. Not idle, iowait and steal; guest is part of user already."""
# The kernel writes all of /proc/stat for whoever reads its first line.
_SHORTEST_INTERVAL_S = 0.010


def process_cpu_s() -> float:
    """CPU seconds that this process has used, all threads together."""
    return time.process_time()


def node_busy_cpu_s(proc_root: Path = PROC) -> float:
    """CPU seconds that all processes of the node have used since boot, in steps of 10 ms.

    Raises:
        MeterError: ``stat`` can't be read or is not the kernel's.
    """
    path = proc_root / "stat"
    try:
        with path.open(encoding="ascii") as file:
            name, *ticks = file.readline().split()
        if name != "cpu":
            raise ValueError(f"begins with {name!r}")
        return sum(int(ticks[i]) for i in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError) as error:
        raise MeterError(f"can't read the node's CPU time from {path}: {error}") from error


class NodeCpuClock:
    """The node's busy CPU seconds as a clock: it never falls and never fails.

    A reading that can't be had repeats the last.

    Args:
        proc_root: Where /proc is.
        clock: Monotone seconds.

    Raises:
        MeterError: Not even the first reading can be had.
    """

    def __init__(
        self, proc_root: Path = PROC, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._proc_root = proc_root
        self._clock = clock
        self._busy_s = node_busy_cpu_s(proc_root)
        self._read_at_s = clock()

    def __call__(self) -> float:
        """Return busy CPU seconds since boot."""
        now_s = self._clock()
        if now_s - self._read_at_s >= _SHORTEST_INTERVAL_S:
            self._read_at_s = now_s
            with suppress(MeterError):
                self._busy_s = max(self._busy_s, node_busy_cpu_s(self._proc_root))
        return self._busy_s


def cpu_clock(covers: Covers, proc_root: Path = PROC) -> Callable[[], float]:
    """Return the clock of all CPU seconds that a meter's active energy paid for.

    Raises:
        MeterError: The node's CPU time can't be read.
    """
    return process_cpu_s if covers == "process" else NodeCpuClock(proc_root)
