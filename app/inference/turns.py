"""Work that is done one piece after the other, each once for all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class Turns:
    """Does one piece of work at a time. Lives on one event loop.

    Who asks for what somebody else has asked for, and what has not begun yet, waits for the same
    piece; what has begun may not have seen what the caller wants seen. So no more pieces wait than
    there are different ones.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting: dict[Hashable, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, what: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Have work done after all that was asked for before; it goes on if the caller gives up.

        Args:
            what: Equal for equal work.
            work: Does it.
        """
        task = self._waiting.get(what)
        if task is None:
            task = self._waiting[what] = asyncio.create_task(self._do(what, work))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Give up everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _do(self, what: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        async with self._lock:
            del self._waiting[what]
            await work()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when everybody who waited has given up
