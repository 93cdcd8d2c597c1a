"""WebSocket connections of the server: uvicorn's own, but with ends that are clear to a client.

Imported when the first stream is opened: a service without streams does not carry it.
"""

from __future__ import annotations

import logging
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.api.stream.channel import GOING_AWAY_EVENT

_POLICY = 1008
_LINGER_S = 2.0

_quiet = logging.getLogger(f"{__name__}.uvicorn")
_quiet.setLevel(logging.WARNING)  # a stream logs its opening itself, without its query


class StreamProtocol(WebSocketsSansIOProtocol):
    """One connection.

    Different from its base: when the server stops, a stream may answer its windows in flight and
    then ends itself; a good-bye is said even to who has stopped reading, and does not wait for
    them for ever; who sent something that can't be read gets to know why before the connection
    ends; and a client that is silent to pings is no fault of the server.
    """

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.logger = _quiet
        self.told_to_end = False

    def shutdown(self) -> None:
        """The server stops: tell the stream, once, which then has an end of its own."""
        if not self.handshake_complete:
            super().shutdown()
        elif not self.told_to_end:
            self.told_to_end = True
            self.queue.put_nowait(cast(ASGIReceiveEvent, {"type": GOING_AWAY_EVENT}))

    async def send(self, message: Any) -> None:
        """Take an event from the app."""
        if message["type"] == "websocket.close" and self.handshake_complete:
            if not (self.close_sent or self.disconnected):
                self.conn.send_close(message.get("code", 1000), message.get("reason") or "")
                self._part(self.close_timeout)
            return
        if self.close_sent:
            raise ClientDisconnected  # the app is about to hear of it
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # with a refusal

    def keepalive_timeout(self) -> None:
        """The client did not answer a ping."""
        self.pong_timer = None
        self.pending_ping_payload = None
        if not (self.close_sent or self.transport.is_closing()):
            self.conn.send_close(_POLICY, "no answer to a ping")
            self._disconnect(_POLICY)

    def handle_parser_exception(self) -> None:
        """The client sent what can't be read; what still comes is dropped."""
        if not self.close_sent:
            assert self.conn.close_sent is not None
            self._disconnect(self.conn.close_sent.code)
            self.transport.write_eof()  # nothing it answers can be read, so there is no more to say

    def _disconnect(self, code: int) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self._part(_LINGER_S)

    def _part(self, patience_s: float) -> None:
        """Write what there is to say, and let go of the connection after a while."""
        self.stop_keepalive()
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(patience_s, self.transport.abort)
