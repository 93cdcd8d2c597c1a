"""Uvicorn's protocol on httptools, which by itself waits for ever and reads without end.

A request that is complete goes on to the app as ever, and costs two notes of the time. Once a
second all connections are looked at, rather than each request having a timer of its own.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, cast
from uuid import uuid4

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from app.api.errors import problem_of, respond
from app.errors import (
    HeadTooLargeError,
    MalformedError,
    RequestError,
    TooManyConnectionsError,
    TooSlowError,
)
from app.telemetry.logs import RequestContext, current_request
from app.wire.door import Door
from app.wire.limits import CloseReason, Phase
from app.wire.line import HeadMemo, Line
from app.wire.watch import ConnectionWatch

logger = logging.getLogger(__name__)

_HEAD_END = b"\r\n\r\n"
_CLOSE = (b"connection", b"close")
_OFFERS_H2C = re.compile(rb"(\r\n)upgrade(:[ \t]*h2c)", re.IGNORECASE)


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        watch: Knows the limits, and looks whether they are kept.
        door: Turns requests away whose body is not worth reading.
        memo: Of the headers that every answer has.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        watch: ConnectionWatch,
        door: Door,
        memo: HeadMemo,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._watch = watch
        self._door = door
        self._memo = memo
        self._line: Line | None = None
        self._ends = False
        self._unwanted = 0
        self._head = b""
        self._phase: Phase = "head"
        self._since_s = self.loop.time()
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection on, unless there are too many."""
        others = len(self.connections)
        super().connection_made(transport)
        refusal = self._watch.opened(self, self._address, others)
        if refusal is not None:
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another."""
        self._watch.closed(self, self._address)
        super().connection_lost(exc)
        if self._line is not None:
            self._line.left()
            self._line = None

    def data_received(self, data: bytes) -> None:
        """Parse what came, as long as the head is not too large."""
        if self.transport.is_closing():
            return
        if self._unwanted:
            data = self._without_unwanted(data)
        if self._door.crowded and self._is_between_requests:
            data = self._turned_away(data)
        if not data:
            return
        in_head = self._phase == "head"
        super().data_received(_without_h2c(data) if self._phase != "body" else data)
        if in_head and self._phase == "head":
            self._head_bytes += len(data)
            if self._head_bytes > self._watch.limits.head_bytes:
                self._refuse("head_too_large")

    def on_message_begin(self) -> None:
        """Note when a request begins; the first one does when the connection is opened."""
        if self._phase != "head":
            self._enter("head")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note when its head is complete."""
        self._enter("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note when all of it has come."""
        self._phase = "idle"
        super().on_message_complete()
        if self._ends:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let the request in, or answer it now and drop its body as it comes."""
        head, self._head = self._head, b""
        refusal = None
        if self._door.crowded and not cycle.waiting_for_100_continue:
            refusal = self._refusal(cast(Scope, cycle.scope), head, last=not cycle.keep_alive)
        if refusal is None:
            self._line = cycle.scope["line"] = Line(cycle, self._memo)  # type: ignore[typeddict-unknown-key]
            super()._start_asgi_task(cycle, app)
            return
        self.transport.write(refusal)
        cycle.response_started = cycle.response_complete = True
        if cycle.keep_alive and not self._leaving:
            self.on_response_complete()
            self._door.breather.refused(self)
        elif self._phase == "idle":
            self.transport.close()
        else:
            self._ends = True

    def rest(self) -> None:
        """Read no more for now."""
        if not self.transport.is_closing():
            self.flow.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if not self.transport.is_closing():
            self.flow.resume_reading()

    @property
    def _leaving(self) -> bool:
        """Whether the server has begun to stop: every answer closes its connection."""
        return _CLOSE in self.config.encoded_headers

    def _refusal(self, scope: Scope, head: bytes, *, last: bool) -> bytes | None:
        caller = self._door.caller(scope)
        if caller is None:
            return None
        if head and not last:
            self._door.remember(head, caller)
        return self._door.refusal(caller, last=last or self._leaving)

    def _turned_away(self, data: bytes) -> bytes:
        """Answer a request whose head was met before, if it may not come in.

        Returns:
            What is left to be parsed.
        """
        end = data.find(_HEAD_END)
        if end < 0 or self._leaving:
            return data
        head = data[:end]
        caller = self._door.recall(head)
        if caller is None or caller.body_bytes is None:
            self._head = head
            return data
        refusal = self._door.refusal(caller, last=False)
        if refusal is None:
            return data
        self.transport.write(refusal)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        self._door.breather.refused(self)
        self._enter("body")
        self._unwanted = caller.body_bytes
        return self._without_unwanted(data[end + len(_HEAD_END) :])

    def _without_unwanted(self, data: bytes) -> bytes:
        """Drop what belongs to a request that was turned away."""
        rest = data[self._unwanted :]
        self._unwanted -= len(data) - len(rest)
        if not self._unwanted:
            self._phase = "idle"
        return rest

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse("malformed")

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over: from here on the limits of streams hold."""
        self._watch.closed(self, self._address)
        super().handle_websocket_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Answer over HTTP/1.1 whoever would rather speak something else: no reason to warn."""

    def look(self, now_s: float) -> None:
        """Close the connection if it is overdue."""
        if self.transport.is_closing():
            if self._phase != "closing":
                self._enter("closing")
        elif self.flow.read_paused:  # it is not the client who dawdles
            self._since_s = now_s
        reason = self._watch.limits.overdue(self._phase, now_s - self._since_s)
        if reason == "stuck":
            self._watch.on_close(reason)
            self.transport.abort()
        elif reason is not None:
            self._refuse(reason)

    @property
    def _is_between_requests(self) -> bool:
        """Whether what comes now is the beginning of a request, and none is being answered."""
        if self.cycle is None:
            return self.headers is None and not self._head_bytes
        return self._phase == "idle" and self.cycle.response_complete

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since_s = self.loop.time()
        self._head_bytes = 0

    def _refuse(self, reason: CloseReason) -> None:
        """Say why, where an answer is still possible, and close."""
        if self.transport.is_closing():
            return
        self._watch.on_close(reason)
        cycle = self.cycle
        owed = cycle is not None and not cycle.response_complete
        silent = reason == "head_timeout" and self.headers is None
        if owed and not cycle.response_started and self._phase != "head":
            request_id = str(cycle.scope.get("request_id", "")) or None
            self.transport.write(_answer(reason, self._watch, request_id))
        elif not owed and not silent:
            self.transport.write(_answer(reason, self._watch, None))
        self._enter("closing")
        self.transport.close()


def _without_h2c(data: bytes) -> bytes:
    """Hide an offer to go on in HTTP/2, which some clients make with every request.

    A server may ignore it, but the parser takes what follows the head for HTTP/2: the body of the
    request would be lost.
    """
    end = data.find(b"\r\n\r\n")
    if data.find(b"h2c", 0, end) < 0:
        return data
    return _OFFERS_H2C.sub(rb"\1X-Upgrd\2", data[:end]) + data[end:]


def bounded_protocol(watch: ConnectionWatch, door: Door) -> type[asyncio.Protocol]:
    """Return the class of connections under this watch and before this door, for uvicorn."""
    memo = HeadMemo()

    class WatchedProtocol(BoundedProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs, watch=watch, door=door, memo=memo)

    return WatchedProtocol


def _error(reason: CloseReason, watch: ConnectionWatch) -> RequestError:
    limits = watch.limits
    match reason:
        case "full" | "client_full":
            what = "the service holds" if reason == "full" else "this address holds"
            return TooManyConnectionsError(
                f"{what} as many connections as it may", retry_after_s=1.0
            )
        case "head_timeout" | "body_timeout":
            part, limit_s = (
                ("headers", limits.head_s) if reason == "head_timeout" else ("body", limits.body_s)
            )
            return TooSlowError(f"the {part} must come within {limit_s:g} s", limit_s=limit_s)
        case "head_too_large":
            return HeadTooLargeError(
                f"request line and headers may hold at most {limits.head_bytes} bytes",
                limit_bytes=limits.head_bytes,
            )
        case _:
            return MalformedError("this is not an HTTP request")


def _answer(reason: CloseReason, watch: ConnectionWatch, request_id: str | None) -> bytes:
    """Write a whole response, with the request's id if it has one already."""
    error = _error(reason, watch)
    context = RequestContext(request_id or uuid4().hex)
    token = current_request.set(context)
    try:
        response = respond(error)
        facts = {"problem": problem_of(error).slug}
        logger.info("connection closed: %s", error, extra={"facts": facts})
    finally:
        current_request.reset(token)
    headers = [
        *((name, value) for name, value in response.raw_headers if name != b"connection"),
        (b"connection", b"close"),
        (b"x-request-id", context.request_id.encode()),
    ]
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body)
