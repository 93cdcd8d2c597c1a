"""A TCP relay that hands on every answer so much later, or is not there at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_HOST = "127.0.0.1"
_CHUNK = 65536


class SlowRelay:
    """Stands between a client and a server; lives on an event loop in a thread of its own.

    Args:
        loop: That loop.
        to_port: Of the server.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, to_port: int) -> None:
        self.delay_s = 0.0
        """How much later answers arrive."""
        self.port = 0
        self._loop = loop
        self._to_port = to_port
        self._listener: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Be there, at the same port each time."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def vanish(self) -> None:
        """Cut every connection, and let nobody connect."""
        asyncio.run_coroutine_threadsafe(self._vanish(), self._loop).result()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, _HOST, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _vanish(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for relay in tuple(self._relays):
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.ensure_future(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(_HOST, self._to_port)
            ways = (self._carry(reader, upstream, 0), self._carry(answers, writer, 1))
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # the server is not there: nor are we
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delayed: int
    ) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(delayed * self.delay_s)
            writer.write(data)
            await writer.drain()


@contextmanager
def slow_relay(to_port: int) -> Iterator[SlowRelay]:
    """Run a relay while the block does; it listens from the start and delays nothing yet."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    relay = SlowRelay(loop, to_port)
    try:
        relay.listen()
        yield relay
        relay.vanish()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
