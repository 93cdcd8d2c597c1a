"""Who is read next: one request in each turn of the event loop, the most urgent first."""

from __future__ import annotations

import asyncio
import itertools
from heapq import heappop, heappush


class Turnstile:
    """Lets a burst of requests in one by one, so that answers get out between them.

    Reading a request takes a good part of a millisecond of the event loop. When fifty arrive at
    once and all are read at once, in the order in which the loop found them, an answer that is
    ready waits behind the reading of all fifty, and the most urgent of them too.
    """

    def __init__(self) -> None:
        self._free = True
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._waiting)

    async def turn(self, due_s: float) -> bool:
        """Let the caller in: at once if nobody was in this turn of the loop, else when it is due.

        The caller goes on until it waits for something else; then the next one is let in, after
        all that has become ready meanwhile.

        Args:
            due_s: When the caller's answer is due: the smallest goes first.

        Returns:
            Whether the caller had to wait.
        """
        waited = not self._free
        if self._free:
            self._free = False
        else:
            turn = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (due_s, next(self._count), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # let in, and gone in the same moment
                    self._let_next_in()
                raise
        asyncio.get_running_loop().call_soon(self._let_next_in)
        return waited

    def _let_next_in(self) -> None:
        while self._waiting:
            turn = heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free = True
