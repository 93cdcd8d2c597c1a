"""Owner of the cores: a bounded number of worker threads and a bounded queue before them."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Any, TypeVar

from app.errors import DeadlineError, ShedError

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]

_SMOOTHING = 0.1  # weight of the newest request in the mean time that a core is held


class Dispatcher:
    """Runs inference on worker threads, one for each core, off the event loop.

    A request holds a core from :meth:`core` until it leaves the block; the next in line takes it
    over, first come first served. All methods but the jobs run on one event loop.

    Args:
        workers: Threads, which is how many inferences run at once.
        max_queue: Requests that may wait for a core.
        max_wait_s: Longest wait for a core.
    """

    def __init__(self, *, workers: int, max_queue: int, max_wait_s: float) -> None:
        self.workers = workers
        self._max_queue = max_queue
        self._max_wait_s = max_wait_s
        self._free = workers
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._held_s = 0.01
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the worker threads."""
        for number in range(self.workers):
            thread = threading.Thread(target=self._work, name=f"inference-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Let running jobs finish, then stop the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    @property
    def alive(self) -> bool:
        """Whether every worker thread runs."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiters)

    def retry_after_s(self) -> float:
        """When a core should be free for one more request, were it sent now."""
        return (self.waiting + 1) * self._held_s / self.workers

    def check_room(self) -> None:
        """Shed early: before any work is spent on a request.

        Raises:
            ShedError: The queue is full.
        """
        if not self._free and len(self._waiters) >= self._max_queue:
            raise ShedError(
                f"{self.waiting} requests already wait for {self.workers} cores",
                reason="queue_full",
                retry_after_s=self.retry_after_s(),
            )

    @asynccontextmanager
    async def core(self, deadline_s: float = math.inf) -> AsyncIterator[bool]:
        """Hold one core; yields whether there was a wait for it.

        Args:
            deadline_s: Give up after so long.

        Raises:
            ShedError: The queue is full, or the wait took longer than any may.
            DeadlineError: No core was free within ``deadline_s``.
        """
        self.check_room()
        waited = not self._free
        if waited:
            await self._wait(deadline_s)
        else:
            self._free -= 1
        began = time.perf_counter()
        try:
            yield waited
        finally:
            self._held_s += _SMOOTHING * (time.perf_counter() - began - self._held_s)
            self._hand_over()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job on a worker thread; the caller must hold a core."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, future))
        return await future

    async def _wait(self, deadline_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(min(deadline_s, self._max_wait_s)):
                await waiter
        except TimeoutError:
            self._forget(waiter)
            if deadline_s <= self._max_wait_s:
                raise DeadlineError("no core was free in time for the latency budget") from None
            raise ShedError(
                f"no core was free within {self._max_wait_s:g} s",
                reason="queue_timeout",
                retry_after_s=self.retry_after_s(),
            ) from None
        except asyncio.CancelledError:
            self._forget(waiter)
            raise

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        """Leave the queue; a core that was handed over in the same moment goes on to the next."""
        if waiter.done() and not waiter.cancelled():
            self._hand_over()
        elif waiter in self._waiters:
            self._waiters.remove(waiter)

    def _hand_over(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

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
