"""A server that stops without losing a request it let in, and in time."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import logging
import os
import signal
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the socket module has no name for it
_TCP_FLAGS, _ACK = 13, 0x10  # a byte of the header, and what every segment but the first has in it
_REFUSE_NEW = b"".join(  # struct sock_filter, classic BPF
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, _TCP_FLAGS),  # load a byte
        (0x45, 0, 1, _ACK),  # is this bit set? If not, skip one
        (0x06, 0, 0, 0xFFFFFFFF),  # keep all of it
        (0x06, 0, 0, 0),  # keep nothing
    )
)
_ACCEPTING_S = 0.25  # the last handshake's last segment may be as long on its way
_LINGER_S = 0.5
_POLL_S = 0.02
_LAST_WORDS_S = 1.0


class DrainingServer(uvicorn.Server):
    """Lets readiness drop before it stops to listen, then finishes what was let in.

    At the first signal every answer begins to say ``Connection: close``, so that clients move
    on by themselves. Once it stops to listen, whoever connected before is still read and
    answered. The second signal ends at once. Unlike uvicorn's own, a process that was drained
    ends as one that did what it was asked to, with exit status 0.

    Args:
        config: Uvicorn's configuration.
        drain: Called at the first signal.
        drain_s: How long to keep listening after it.
        grace_s: The process has ended so long after it, whatever is still under way.
        stop_beside: Stops what listens on another port, when this one stops to listen.
        shares_listener: Whether other processes accept from the same socket: who connects at the
            end is theirs.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain: Callable[[], None],
        drain_s: float,
        grace_s: float,
        stop_beside: Callable[[], Awaitable[None]] | None = None,
        shares_listener: bool = False,
    ) -> None:
        super().__init__(config)
        self._stop_beside = stop_beside
        self._shares_listener = shares_listener
        self._drain = drain
        self._drain_s = drain_s
        self._grace_s = grace_s
        self._ends_s: float | None = None
        """When the process has to have ended, on the monotonic clock; None before a signal."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, or end at once if that has begun."""
        if self._ends_s is not None:
            self.force_exit = self.should_exit = True
            self.config.timeout_graceful_shutdown = 0
            return
        self._ends_s = time.monotonic() + self._grace_s
        self._drain()
        close = (b"connection", b"close")
        self.config.encoded_headers.append(close)  # from now on
        self.server_state.default_headers.append(close)  # for requests that are under way
        _later(self._grace_s, _give_up)
        if self._drain_s:
            _later(self._drain_s, self._stop_listening)
        else:
            self._stop_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was let in, then let go of everything."""
        if not self.force_exit:
            beside = self._stop_beside() if self._stop_beside is not None else asyncio.sleep(0)
            await asyncio.gather(beside, self._answer_what_was_let_in())
        await super().shutdown(sockets)

    async def _answer_what_was_let_in(self) -> None:
        await self._stop_accepting()
        await self._let_finish()

    def _stop_listening(self) -> None:
        self.should_exit = True

    async def _stop_accepting(self) -> None:
        """Accept everybody who has connected, and nobody else.

        Closing a socket resets the connections that the system made in its name and that were
        not accepted yet, though their requests may be here already.
        """
        for server in () if self._shares_listener else self.servers:
            for listener in server.sockets:
                refuse_connections(listener.fileno())
        await asyncio.sleep(_ACCEPTING_S)
        for server in self.servers:
            server.close()

    async def _let_finish(self) -> None:
        """Wait until every connection is over; once all is quiet, close those that are left.

        Whoever has just connected, or had an answer without ``Connection: close``, may have a
        request on the way. While others send theirs so may they: a connection that is closed at
        that moment costs a request. So all of them stay until nothing has come on any for a while;
        each that is used till then is told to close, and is gone.
        """
        assert self._ends_s is not None
        state, busy_s = self.server_state, time.monotonic()
        connections, answered = state.connections, state.total_requests
        while connections and not self.force_exit:
            now_s = time.monotonic()
            if now_s > self._ends_s - _LAST_WORDS_S:
                logger.error("%d connections are cut off", len(connections))
                self.config.timeout_graceful_shutdown = 0
                return
            for connection in list(connections):
                if not isinstance(connection, HttpToolsProtocol):
                    connection.shutdown()
                elif not is_quiet(connection):
                    busy_s = now_s
            if state.total_requests != answered:
                busy_s, answered = now_s, state.total_requests
            if now_s - busy_s >= _LINGER_S:
                for connection in list(connections):
                    if isinstance(connection, HttpToolsProtocol):
                        connection.transport.close()
            await asyncio.sleep(_POLL_S)


def is_quiet(connection: HttpToolsProtocol) -> bool:
    """Whether no request is under way on a connection, nor a part of one."""
    cycle = connection.cycle
    begun = connection.scope is not (None if cycle is None else cycle.scope)
    if begun or (cycle is not None and not cycle.response_complete):
        return False
    found = connection.transport.get_extra_info("socket")
    return found is None or found.fileno() < 0 or not _unread_bytes(found.fileno())


def refuse_connections(listener: int) -> None:
    """Have the system ignore whoever begins to connect; it tries again, and elsewhere.

    A handshake that is under way is finished: its client may think that it is connected.

    Args:
        listener: Descriptor of a listening socket. Elsewhere than on Linux it is left as it is.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(_REFUSE_NEW)
    filters = struct.pack("@HP", len(_REFUSE_NEW) // 8, ctypes.addressof(program))  # sock_fprog
    with socket.socket(fileno=os.dup(listener)) as own:
        try:
            own.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filters)
        except OSError as error:
            logger.warning("connections made at the very end may be lost: %s", error)


def _unread_bytes(descriptor: int) -> int:
    unread: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
    return unread


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _give_up() -> None:
    """End a process that something keeps from ending: a stuck inference, say."""
    logger.critical("could not end in time")
    logging.shutdown()
    os.kill(os.getpid(), signal.SIGKILL)
