"""Many keep-alive connections to one server, each busy with one request at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from loadtests.exchange import Exchange, FramingError, closes, response_length


class Connections:
    """Sends every exchange on an idle connection; opens another one when there is none.

    The connection used last is used first: the fewest possible stay warm. Or all are used in
    turn: a server of several processes shares out connections, not requests, and the few that
    are warm could be those of one process. Beyond ``most`` an exchange waits here, and its
    ``sent_s`` shows it.

    Args:
        host: Where the server listens.
        port: Its TCP port.
        most: Connections at the same time.
        in_turn: Use all of them in turn.
        on_over: Called for each exchange exactly once, when it has its response or never will.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        most: int,
        in_turn: bool = False,
        on_over: Callable[[Exchange], None],
    ) -> None:
        self._address = (host, port)
        self._most = most
        self._next = 0 if in_turn else -1  # of the idle ones
        self._on_over = on_over
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._unsent: deque[Exchange] = deque()

    async def open(self, count: int) -> None:
        """Open connections ahead of need.

        Raises:
            OSError: The server can't be reached.
        """
        loop = asyncio.get_running_loop()
        for _ in range(count):
            await loop.create_connection(lambda: _Connection(self), *self._address)

    def send(self, exchange: Exchange) -> None:
        """Send now, or as soon as there is a connection."""
        if self._idle:
            self._idle.pop(self._next).send(exchange)
            return
        self._unsent.append(exchange)
        self._reinforce()

    def close(self) -> None:
        """Drop everything; exchanges that are not over stay as they are."""
        self._unsent.clear()
        for task in self._opening:
            task.cancel()
        for connection in tuple(self._open):
            connection.abandon()

    def ready(self, connection: _Connection) -> None:
        """Give a connection something to do, or keep it."""
        self._open.add(connection)
        if self._unsent:
            connection.send(self._unsent.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._reinforce()

    def over(self, exchange: Exchange) -> None:
        """Pass on that an exchange has ended."""
        self._on_over(exchange)

    def _reinforce(self) -> None:
        """Open one more connection if there is room, and an exchange that none is opened for."""
        room = len(self._open) + len(self._opening) < self._most
        if room and len(self._opening) < len(self._unsent):
            task = asyncio.get_running_loop().create_task(self._open_one())
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled():
            self._reinforce()

    async def _open_one(self) -> None:
        try:
            await self.open(1)
        except OSError as error:
            if self._unsent:
                exchange = self._unsent.popleft()
                exchange.error = f"no connection: {error.strerror or error}"
                self.over(exchange)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 reduced to what a load test needs: one message out, one framed response back."""

    __slots__ = ("_connections", "_exchange", "_expected", "_received", "_transport")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._exchange: Exchange | None = None
        self._received = b""
        self._expected: int | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.ready(self)

    def send(self, exchange: Exchange) -> None:
        assert self._transport is not None
        self._exchange = exchange
        exchange.sent_s = time.monotonic()
        self._transport.write(exchange.message)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:  # nothing was asked: not a server to go on talking to
            self.abandon()
            return
        if exchange.first_byte_s is None:
            exchange.first_byte_s = time.monotonic()
        self._received += data
        try:
            if self._expected is None:
                self._expected = response_length(self._received)
        except FramingError as error:
            self._end(error=str(error))
            self.abandon()
            return
        if self._expected is not None and len(self._received) >= self._expected:
            response = self._received[: self._expected]
            self._end(response=response)
            assert self._transport is not None
            if closes(response):
                self.abandon()
            elif not self._transport.is_closing():
                self._connections.ready(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.lost(self)
        if self._exchange is not None:
            self._end(error=f"connection lost: {error or 'closed by the server'}")

    def abandon(self) -> None:
        self._connections.lost(self)
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def _end(self, *, response: bytes = b"", error: str = "") -> None:
        exchange = self._exchange
        assert exchange is not None
        exchange.response, exchange.error = response, error
        self._exchange, self._received, self._expected = None, b"", None
        self._connections.over(exchange)
