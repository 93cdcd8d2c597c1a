"""All connections of a server together: how many there are, and which have been too slow."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from app.security.address import caller_of
from app.wire.limits import CloseReason, ConnectionLimits

_LOOK_S = 1.0


class Connection(Protocol):
    """What is watched."""

    def look(self, now_s: float) -> None:
        """Close the connection if it is overdue."""


class ConnectionWatch:
    """Counts connections, and looks at each once a second.

    Args:
        limits: What they may do.
        on_close: Told why each connection is closed that broke a limit.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        *,
        on_close: Callable[[CloseReason], None] = lambda _: None,
    ) -> None:
        self.limits = limits
        self.on_close = on_close
        self._open: set[Connection] = set()
        self._of_client: Counter[str] = Counter()
        self._looking = False

    def opened(self, connection: Connection, address: str, others: int) -> CloseReason | None:
        """Take note of a connection; return why it may not stay, or None.

        Args:
            connection: The new one.
            address: Where it is from.
            others: All that are open beside it, streams included.
        """
        caller = caller_of(address)
        refusal = self.limits.refusal(others, self._of_client[caller])
        self._open.add(connection)
        self._of_client[caller] += 1
        if not self._looking:
            self._looking = True
            loop = asyncio.get_running_loop()
            loop.call_later(_LOOK_S, self._look, loop)
        return refusal

    def closed(self, connection: Connection, address: str) -> None:
        """Forget a connection."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        caller = caller_of(address)
        self._of_client[caller] -= 1
        if not self._of_client[caller]:
            del self._of_client[caller]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for connection in tuple(self._open):
            connection.look(now_s)
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(_LOOK_S, self._look, loop)
