"""Threads that run inferences, one for each core, away from the event loop."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar, cast

T = TypeVar("T")
Job = Callable[[], object]
Then = Callable[[object], None]


class Worker:
    """One thread that runs the jobs it is given, one after the other.

    Args:
        name: Name of the thread.
        clock: Monotone seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._given_s = math.inf
        self._jobs: SimpleQueue[tuple[Job, Then, asyncio.AbstractEventLoop] | None] = SimpleQueue()
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

    def run(self, job: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run a job on the thread.

        Args:
            job: What to do.
            then: Called on the running event loop with what it returned or raised.
        """
        self._given_s = self._clock()
        self._jobs.put((job, cast(Then, then), asyncio.get_running_loop()))

    def close(self) -> None:
        """Let the jobs given so far finish, then stop the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, then, loop = item
            try:
                outcome = job()
            except Exception as error:  # whoever waits gets it, whatever it is
                outcome = error
            self._given_s = math.inf
            loop.call_soon_threadsafe(then, outcome)


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

    def start(self) -> None:
        """Start the threads."""
        self._all = tuple(Worker(f"inference-{n}", self._clock) for n in range(self._count))
        self._free = list(self._all)

    def close(self) -> None:
        """Let running jobs finish, then stop the threads."""
        for worker in self._all:
            worker.close()

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
