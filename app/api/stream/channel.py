"""A WebSocket as an ASGI server hands it over, with what a stream needs of it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Receive, Send

GOING_AWAY_EVENT = "sentryfuse.going_away"
"""An event beside ASGI's own: the server stops, and would like the connection to end."""

NORMAL = 1000
GOING_AWAY = 1001
POLICY = 1008
FAULT = 1011


@dataclass(frozen=True, slots=True)
class Close:
    """Why a stream ends."""

    code: int
    reason: str = ""
    flush: bool = False
    """Whether windows in flight are answered first."""
    by_client: bool = False
    """The connection is gone, or about to; nothing more can be said."""


class GoneError(Exception):
    """The client closed the connection, or it broke."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class GoingAwayError(Exception):
    """The server stops."""


class Channel:
    """Text and bytes, in and out.

    Args:
        receive: Of ASGI.
        send: Of ASGI.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            GoneError: There is none.
            GoingAwayError: There shall be no more.
        """
        message = await self._receive()
        if message["type"] == GOING_AWAY_EVENT:
            raise GoingAwayError
        if message["type"] != "websocket.receive":
            raise GoneError(message.get("code") or 1006)
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""

    async def send(self, content: bytes) -> None:
        """Send text; returns once the client keeps up with reading.

        Raises:
            GoneError: Nobody is there.
        """
        try:
            await self._send({"type": "websocket.send", "text": content.decode()})
        except OSError:
            raise GoneError(1006) from None

    async def close(self, close: Close) -> None:
        """Say good-bye."""
        message = {"type": "websocket.close", "code": close.code, "reason": close.reason}
        try:
            await self._send(message)
        except OSError:
            return
