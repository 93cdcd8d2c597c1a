"""The layer that turns away who may not come in, before anything is read or routed."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.errors import refuse
from app.errors import (
    ForbiddenError,
    HeadTooLargeError,
    RequestError,
    UrlTooLongError,
)
from app.security import Admission, scope_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """Bounds on what comes before the body."""

    max_url_bytes: int
    max_headers: int
    max_header_bytes: int
    """Names and values together."""


class Gate:
    """ASGI middleware for HTTP requests and for the handshakes of WebSockets.

    Args:
        app: The rest of the app.
        admission: Knows the keys, and how often each caller asks.
        limits: Of the head.
    """

    def __init__(self, app: ASGIApp, *, admission: Admission, limits: HeadLimits) -> None:
        self._app = app
        self._admission = admission
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or say why not."""
        try:
            if scope["type"] == "http":
                self._check(scope, scope["method"])
            elif scope["type"] == "websocket":
                _check_origin(scope)
                self._check(scope, "GET")
        except RequestError as error:
            response = refuse(error, scope["path"])
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(response)
            else:
                await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, method: str) -> None:
        self._check_head(scope)
        if self._admission.open:
            return
        needed = scope_of(method, scope["path"])
        if needed is not None:
            peer = scope["client"][0] if scope.get("client") else ""
            scope["principal"] = self._admission.admit(scope["headers"], needed, peer)

    def _check_head(self, scope: Scope) -> None:
        limits, headers = self._limits, scope["headers"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > limits.max_url_bytes:
            raise UrlTooLongError(
                f"the URL may hold at most {limits.max_url_bytes} bytes",
                limit_bytes=limits.max_url_bytes,
            )
        size = 0
        for name, value in headers:
            size += len(name) + len(value)
        if len(headers) > limits.max_headers or size > limits.max_header_bytes:
            raise HeadTooLargeError(
                f"there may be at most {limits.max_headers} headers of {limits.max_header_bytes} "
                f"bytes together, got {len(headers)} of {size}",
                limit_bytes=limits.max_header_bytes,
                limit_headers=limits.max_headers,
            )


def _check_origin(scope: Scope) -> None:
    """Refuse a page of another site: browsers open WebSockets to anywhere, and ask nobody.

    Raises:
        ForbiddenError: The handshake comes from such a page.
    """
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise ForbiddenError(
            f"a page of {origin[:200]!r} may not open a stream of {headers.get('host')!r}",
            origin=origin[:200],
        )
