"""Owner of the cores: a bounded number of worker threads and a bounded queue before them."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from app.errors import DeadlineError, ShedError

T = TypeVar("T")

_SMOOTHING = 0.1  # weight of the newest request in the mean time that a core is held


class Worker:
    """One thread that runs one job at a time, given to it by who holds it.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None]
        self._jobs = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job on the thread."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, future))
        return await future

    def close(self) -> None:
        """Let the running job finish, then stop the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            try:
                result = job()
            except Exception as error:  # the request that waits gets it, whatever it is
                _settle(future, future.set_exception, error)
            else:
                _settle(future, future.set_result, result)


def _settle(future: asyncio.Future[Any], setter: Callable[[Any], None], value: object) -> None:
    def settle() -> None:
        if not future.done():  # the request may have been cancelled meanwhile
            setter(value)

    future.get_loop().call_soon_threadsafe(settle)


@dataclass(frozen=True, slots=True)
class Core:
    """A worker that is held, and whether there was a wait for it."""

    worker: Worker
    waited: bool


class Dispatcher:
    """Hands out worker threads, one for each core, so that inference stays off the event loop.

    A request holds a core from :meth:`core` until it leaves the block; the next in line takes it
    over, first come first served. A free core is taken where work ended last, which finds its
    caches warm. All methods run on one event loop.

    Args:
        workers: Threads, which is how many inferences run at once.
        max_queue: Requests that may wait for a core.
        max_wait_s: Longest wait for a core.
    """

    def __init__(self, *, workers: int, max_queue: int, max_wait_s: float) -> None:
        self._num_workers = workers
        self._max_queue = max_queue
        self._max_wait_s = max_wait_s
        self._workers: tuple[Worker, ...] = ()
        self._free: list[Worker] = []
        self._waiters: deque[asyncio.Future[Worker]] = deque()
        self._held_s = 0.01

    def start(self) -> None:
        """Start the worker threads."""
        self._workers = tuple(Worker(f"inference-{n}") for n in range(self._num_workers))
        self._free = list(self._workers)

    def close(self) -> None:
        """Let running jobs finish, then stop the threads."""
        for worker in self._workers:
            worker.close()

    @property
    def alive(self) -> bool:
        """Whether every worker thread runs."""
        return bool(self._workers) and all(worker.alive for worker in self._workers)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiters)

    def retry_after_s(self) -> float:
        """When a core should be free for one more request, were it sent now."""
        return (self.waiting + 1) * self._held_s / self._num_workers

    def check_room(self) -> None:
        """Shed early: before any work is spent on a request.

        Raises:
            ShedError: The queue is full.
        """
        if not self._free and len(self._waiters) >= self._max_queue:
            raise ShedError(
                f"{self.waiting} requests already wait for {self._num_workers} cores",
                reason="queue_full",
                retry_after_s=self.retry_after_s(),
            )

    @asynccontextmanager
    async def core(self, deadline_s: float = math.inf) -> AsyncIterator[Core]:
        """Hold one core.

        Args:
            deadline_s: Give up after so long.

        Raises:
            ShedError: The queue is full, or the wait took longer than any may.
            DeadlineError: No core was free within ``deadline_s``.
        """
        self.check_room()
        waited = not self._free
        worker = await self._wait(deadline_s) if waited else self._free.pop()
        began = time.perf_counter()
        try:
            yield Core(worker, waited)
        finally:
            self._held_s += _SMOOTHING * (time.perf_counter() - began - self._held_s)
            self._hand_over(worker)

    async def _wait(self, deadline_s: float) -> Worker:
        waiter: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(min(deadline_s, self._max_wait_s)):
                return await waiter
        except TimeoutError:
            self._leave_queue(waiter)
            if deadline_s <= self._max_wait_s:
                raise DeadlineError("no core was free in time for the latency budget") from None
            raise ShedError(
                f"no core was free within {self._max_wait_s:g} s",
                reason="queue_timeout",
                retry_after_s=self.retry_after_s(),
            ) from None
        except asyncio.CancelledError:
            self._leave_queue(waiter)
            raise

    def _leave_queue(self, waiter: asyncio.Future[Worker]) -> None:
        """Stop waiting; a core that was handed over in the same moment goes on to the next."""
        if waiter.done() and not waiter.cancelled():
            self._hand_over(waiter.result())
        elif waiter in self._waiters:
            self._waiters.remove(waiter)

    def _hand_over(self, worker: Worker) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(worker)
                return
        self._free.append(worker)
