"""Threads that run inferences, one for each core, away from the event loop."""

from __future__ import annotations

import asyncio
import threading
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
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Job, Then, asyncio.AbstractEventLoop] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def run(self, job: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run a job on the thread.

        Args:
            job: What to do.
            then: Called on the running event loop with what it returned or raised.
        """
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
            loop.call_soon_threadsafe(then, outcome)


class Workers:
    """All worker threads; a free one is taken where work ended last, which finds its caches warm.

    Args:
        count: Threads, which is how many inferences run at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._all: tuple[Worker, ...] = ()
        self._free: list[Worker] = []

    def start(self) -> None:
        """Start the threads."""
        self._all = tuple(Worker(f"inference-{n}") for n in range(self._count))
        self._free = list(self._all)

    def close(self) -> None:
        """Let running jobs finish, then stop the threads."""
        for worker in self._all:
            worker.close()

    @property
    def alive(self) -> bool:
        """Whether every thread runs."""
        return bool(self._all) and all(worker.alive for worker in self._all)

    def take(self) -> Worker:
        """Return a free worker.

        Raises:
            IndexError: There is none.
        """
        return self._free.pop()

    def give_back(self, worker: Worker) -> None:
        """Say that a worker is free again."""
        self._free.append(worker)
