"""A neighbour on the same machine: processes that take CPU time away in given stretches."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

_PERIOD_S = 0.004  # as long as a time slice of the kernel: a neighbour of many small jobs


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when, after the start, how much of every core is taken."""

    from_s: float
    to_s: float
    share: float
    """Of each core's time, in (0, 1]."""

    def __post_init__(self) -> None:
        if not (0 <= self.from_s < self.to_s and 0 < self.share <= 1):
            raise ValueError(
                f"a stretch needs 0 <= from_s < to_s and a share in (0, 1], got {self}"
            )


def stretches(slowdowns: Sequence[tuple[float, float]], duration_s: float) -> tuple[Stretch, ...]:
    """Read a trace's slow-downs as stolen time.

    Work slows down by a factor f when 1 - 1/f of its core is taken.

    Args:
        slowdowns: Steps (time, factor); a factor holds until the next step.
        duration_s: Length of the trace.
    """
    ends = [at_s for at_s, _ in slowdowns[1:]] + [duration_s]
    return tuple(
        Stretch(at_s, end_s, 1 - 1 / factor)
        for (at_s, factor), end_s in zip(slowdowns, ends, strict=True)
        if factor > 1 and at_s < end_s
    )


class Neighbour:
    """One spinning process on each core that this process may use; up when this returns.

    Args:
        plan: What to take, in order.
    """

    def __init__(self, plan: Sequence[Stretch]) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes = []
        self._ends = []
        for core in sorted(os.sched_getaffinity(0)):
            ours, theirs = context.Pipe()
            process = context.Process(target=_steal, args=(core, tuple(plan), theirs), daemon=True)
            process.start()
            self._processes.append(process)
            self._ends.append(ours)
        for end in self._ends:
            end.recv()

    def begin(self, start_s: float) -> None:
        """Let the stretches count from this reading of ``time.monotonic()``."""
        for end in self._ends:
            end.send(start_s)

    def taken_cpu_s(self) -> float:
        """Wait for the last stretch to end; return the CPU seconds taken, on all cores together."""
        return float(sum(end.recv() for end in self._ends))

    def stop(self) -> None:
        """End it now."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


@contextmanager
def neighbour(plan: Sequence[Stretch]) -> Iterator[Neighbour | None]:
    """Have a neighbour while the block runs; None if there is nothing to take."""
    if not plan:
        yield None
        return
    running = Neighbour(plan)
    try:
        yield running
    finally:
        running.stop()


def _steal(core: int, plan: Sequence[Stretch], parent: Connection) -> None:
    os.sched_setaffinity(0, {core})
    parent.send("up")
    start_s = parent.recv()
    began_cpu_s = time.process_time()
    for stretch in plan:
        end_s = start_s + stretch.to_s
        _sleep_until(start_s + stretch.from_s)
        while (period_s := time.monotonic()) < end_s:
            # What the kernel gave to others in this period is not asked for again.
            spin_until_s = min(period_s + stretch.share * _PERIOD_S, end_s)
            while time.monotonic() < spin_until_s:
                pass
            if stretch.share < 1:
                _sleep_until(period_s + _PERIOD_S)
    parent.send(time.process_time() - began_cpu_s)


def _sleep_until(at_s: float) -> None:
    if (rest_s := at_s - time.monotonic()) > 0:
        time.sleep(rest_s)
