"""The way back to whoever sent a request: its answer in one write, and word when it has left.

ASGI sends head and body apart, which is two system calls, wakes the client twice, and runs every
header through the checks that headers of strangers need. It also has no cheap way to say that a
client has gone: somebody must wait for that, in a task of its own. An endpoint that finds a line in
its scope can do both at once; one that finds none does as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

Headers = Sequence[tuple[bytes, bytes]]


class HeadMemo:
    """The headers that every answer begins with; they change once a second, with the date."""

    def __init__(self) -> None:
        self._headers: tuple[tuple[bytes, bytes], ...] | None = None
        self._text: bytes | None = None

    def begin(self, headers: Headers) -> bytes | None:
        """Return status line and these headers of a 200; None if the connection must end then."""
        now = tuple(headers)  # the server may add to its list, which is the same one then
        if now != self._headers:
            closes = any(name.lower() == b"connection" for name, _ in now)
            self._text = None if closes else STATUS_LINE[200] + _lines(now)
            self._headers = now
        return self._text


class Line:
    """One request's connection, as far as its endpoint may use it.

    Args:
        cycle: Of the request.
        memo: Of the server's own headers.
    """

    __slots__ = ("_cycle", "_memo", "_on_leave")

    def __init__(self, cycle: RequestResponseCycle, memo: HeadMemo) -> None:
        self._cycle = cycle
        self._memo = memo
        self._on_leave: Callable[[], None] | None = None

    def answer(self, headers: Headers, content: bytes) -> bool:
        """Write a whole 200 at once, if that can be done; False if nothing was written.

        Args:
            headers: Well-formed, its length among them, nothing about the connection.
            content: Of that length.
        """
        cycle = self._cycle
        begin = self._memo.begin(cycle.default_headers)
        if (
            begin is None
            or cycle.disconnected
            or cycle.response_started
            or cycle.waiting_for_100_continue
            or not cycle.keep_alive
            or cycle.flow.write_paused
            or cycle.access_log
        ):
            return False
        cycle.response_started = True
        cycle.chunked_encoding = False
        cycle.transport.write(b"%b%b\r\n%b" % (begin, _lines(headers), content))
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def watch(self, on_leave: Callable[[], None] | None) -> None:
        """Have a function called when the client closes the connection; None for none any more."""
        self._on_leave = on_leave
        if on_leave is not None:
            self._cycle.flow.resume_reading()  # or its leaving would not be seen
            if self._cycle.disconnected:
                self.left()

    def left(self) -> None:
        """Tell whoever watches that the client has gone."""
        on_leave, self._on_leave = self._on_leave, None
        if on_leave is not None:
            on_leave()


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])
