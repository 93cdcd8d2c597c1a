"""The layer that turns away who may not come in, before anything is read or routed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.errors import refuse
from app.errors import (
    ForbiddenError,
    HeadTooLargeError,
    RequestError,
    ShedError,
    UnauthorisedError,
    UrlTooLongError,
)
from app.security import Guard, presented_key, scope_of
from app.security.address import caller_of, client_address
from app.security.rate import RateLimiter


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
        guard: Knows the keys.
        limits: Of the head.
        rates: How often each caller may ask; None for as often as it likes.
        on_shed: Told of each request that came too soon.
        trusted_proxies: How many proxies of ours every request passes.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        guard: Guard,
        limits: HeadLimits,
        rates: RateLimiter | None,
        on_shed: Callable[[], None],
        trusted_proxies: int,
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._guard = guard
        self._limits = limits
        self._rates = rates
        self._on_shed = on_shed
        self._trusted_proxies = trusted_proxies
        self._clock = clock

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
        if self._guard.ring is None and self._rates is None:
            return
        needed = scope_of(method, scope["path"])
        if needed is None:
            return
        try:
            principal = self._guard.check(presented_key(scope["headers"]), needed)
        except UnauthorisedError:
            self._check_rate(self._caller(scope))  # guessing is asking, too
            raise
        scope["principal"] = principal.name
        self._check_rate(f"key {principal.name}" if principal.name else self._caller(scope))

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

    def _check_rate(self, caller: str) -> None:
        if self._rates is None:
            return
        wait_s = self._rates.take(caller, self._clock())
        if wait_s:
            self._on_shed()
            raise ShedError(
                "more requests than the rate limit allows",
                reason="rate_limited",
                retry_after_s=wait_s,
            )

    def _caller(self, scope: Scope) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        return caller_of(
            client_address(peer, scope["headers"], trusted_proxies=self._trusted_proxies)
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
