"""Keeps the event loop from doing nothing but refusing (receive livelock).

When refusals alone take all the time there is, those who were let in get none, and nobody is
answered. So connections that were refused in a long turn of the loop are not read for a while:
what their clients send next waits with them, where it costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

_LONG_TURN_S = 0.003
_REST = 4.0
"""How long a rest is, in turns such as the one before it: refusals get a fifth of the time."""
_LONGEST_REST_S = 1.0
_GROUP = 32
"""So many are read again together, or the next turn would be as long."""


class Connection(Protocol):
    """What can be left unread."""

    def rest(self) -> None:
        """Read no more for now."""

    def go_on(self) -> None:
        """Read again."""


class Breather:
    """Notes who is refused in each turn of the loop, and lets them rest if it was a long one.

    Args:
        clock: Monotone seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began_s = 0.0
        self._refused: list[Connection] = []

    def refused(self, connection: Connection) -> None:
        """Note a refusal that was written just now."""
        if not self._refused:
            self._began_s = self._clock()
            asyncio.get_running_loop().call_soon(self._turn_ends)
        self._refused.append(connection)

    def _turn_ends(self) -> None:
        refused, self._refused = self._refused, []
        took_s = self._clock() - self._began_s
        if took_s < _LONG_TURN_S:
            return
        rest_s = min(_REST * took_s, _LONGEST_REST_S)
        loop, count = asyncio.get_running_loop(), len(refused)
        for begin in range(0, count, _GROUP):
            group = refused[begin : begin + _GROUP]
            for connection in group:
                connection.rest()
            loop.call_later(rest_s * (begin + len(group)) / count, _go_on, group)


def _go_on(group: Sequence[Connection]) -> None:
    for connection in group:
        connection.go_on()
