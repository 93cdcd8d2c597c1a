"""The layer that turns away who may not come in, before anything is read or routed."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.errors import refuse
from app.errors import ForbiddenError, RequestError
from app.security import Guard, presented_key, scope_of


class Gate:
    """ASGI middleware for HTTP requests and for the handshakes of WebSockets.

    Args:
        app: The rest of the app.
        guard: Knows the keys.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or say why not."""
        try:
            if scope["type"] == "http":
                self._check(scope, scope["method"])
            elif scope["type"] == "websocket":
                _check_origin(scope)
                self._check(scope, "GET")
        except RequestError as error:
            response = refuse(error)
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(response)
            else:
                await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, method: str) -> None:
        needed = scope_of(method, scope["path"])
        if needed is not None and self._guard.ring is not None:
            principal = self._guard.check(presented_key(scope["headers"]), needed)
            scope["principal"] = principal.name


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
