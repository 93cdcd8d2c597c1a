"""Threads that run inferences, one for each core, away from the event loop."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar, cast

from app.inference.heap import give_back_buffers

T = TypeVar("T")
Job = Callable[[], object]
Then = Callable[[object], None]

_SWEEP_S = 1.0
_FEW = 2  # windows whose buffers may stay: a slow stream would fault them in again for each request
_NICER = 5  # a third of the weight that other threads of the process have
_NICEST = 19


class Ended:
    """What has ended on any thread and was not told yet. The event loop alone tells."""

    def __init__(self) -> None:
        self._untold: deque[tuple[Then, object]] = deque()

    def add(self, then: Then, outcome: object) -> None:
        """Note an outcome; any thread may call this."""
        self._untold.append((then, outcome))

    def tell(self) -> None:
        """Tell whoever waits of everything that has ended.

        Whoever fails at being told is not the one who asks for it: the event loop reports it.
        """
        while self._untold:
            then, outcome = self._untold.popleft()
            try:
                then(outcome)
            except Exception as error:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "failed when told of a job that has ended", "exception": error}
                )


class _Given(NamedTuple):
    """A job, and who hears of its end."""

    job: Job
    then: Then
    loop: asyncio.AbstractEventLoop
    windows: int


class Worker:
    """One thread that runs the jobs it is given, one after the other.

    Args:
        name: Name of the thread.
        ended: Where outcomes go.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        name: str,
        ended: Ended,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._ended = ended
        self._clock = clock
        self._given_s = math.inf
        self._ended_cpu_s = 0.0
        self.beside_cpu_s = 0.0
        """CPU time of the thread between its last job but one and its last: handing over."""
        self._jobs: SimpleQueue[_Given | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def busy_s(self) -> float:
        """How long ago it was given the job that it runs; 0 if it runs none."""
        return max(self._clock() - self._given_s, 0.0)

    def run(
        self, job: Callable[[], T], then: Callable[[T | Exception], None], *, windows: int = 1
    ) -> None:
        """Run a job on the thread.

        Args:
            job: What to do.
            then: Called on the running event loop with what it returned or raised.
            windows: How many there are in it; their buffers go back to the system a second later.
        """
        self._given_s = self._clock()
        self._jobs.put(_Given(job, cast(Then, then), asyncio.get_running_loop(), windows))

    def close(self) -> None:
        """Let the jobs given so far finish, then stop the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        _give_way()
        self._ended_cpu_s = time.thread_time()
        kept_s: float | None = None  # since when there are buffers of many windows
        while True:
            try:
                given = self._jobs.get(timeout=None if kept_s is None else _SWEEP_S)
            except Empty:
                self._sweep()
                kept_s = None
                continue
            if given is None:
                return
            self._run(given)
            if kept_s is None:
                kept_s = self._clock() if given.windows > _FEW else None
            elif self._clock() - kept_s >= _SWEEP_S:
                self._sweep()
                kept_s = None

    def _run(self, given: _Given) -> None:
        self.beside_cpu_s = time.thread_time() - self._ended_cpu_s
        try:
            outcome = given.job()
        except Exception as error:  # whoever waits gets it, whatever it is
            outcome = error
        self._ended_cpu_s = time.thread_time()
        self._given_s = math.inf
        self._ended.add(given.then, outcome)
        given.loop.call_soon_threadsafe(self._ended.tell)

    def _sweep(self) -> None:
        give_back_buffers()
        self._ended_cpu_s = time.thread_time()  # it is no part of handing over


def _give_way() -> None:
    """Let the event loop go before this thread where both want the same core (Linux only).

    It needs one for a moment at a time, and whatever comes waits for it, other threads' batches
    included: all of them need the interpreter, and who has it must not be kept from running.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            me = threading.get_native_id()
            nice = min(os.getpriority(os.PRIO_PROCESS, me) + _NICER, _NICEST)
            os.setpriority(os.PRIO_PROCESS, me, nice)


class Workers:
    """All worker threads; a free one is taken where work ended last, which finds its caches warm.

    Args:
        count: Threads, which is how many inferences run at once.
        clock: Monotone seconds.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._count = count
        self._clock = clock
        self._all: tuple[Worker, ...] = ()
        self._free: list[Worker] = []
        self._ended = Ended()

    def start(self) -> None:
        """Start the threads."""
        self._all = tuple(
            Worker(f"inference-{n}", self._ended, self._clock) for n in range(self._count)
        )
        self._free = list(self._all)

    def close(self) -> None:
        """Let running jobs finish, then stop the threads."""
        for worker in self._all:
            worker.close()

    def tell(self) -> None:
        """Tell of all that has ended, now rather than when the event loop gets to it.

        A busy loop reads everything that has come before it looks at what threads have to say;
        meanwhile their cores would be idle.
        """
        self._ended.tell()

    @property
    def alive(self) -> bool:
        """Whether every thread runs."""
        return bool(self._all) and all(worker.alive for worker in self._all)

    @property
    def longest_s(self) -> float:
        """How long the job has been running that runs longest; 0 if none runs."""
        return max((worker.busy_s for worker in self._all), default=0.0)

    def take(self) -> Worker:
        """Return a free worker.

        Raises:
            IndexError: There is none.
        """
        return self._free.pop()

    def give_back(self, worker: Worker) -> None:
        """Say that a worker is free again."""
        self._free.append(worker)
