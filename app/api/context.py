"""The outermost layer: gives every request an identity, counts it, and logs it once."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Container
from dataclasses import replace

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import internal_error
from app.api.tracing import begin_trace, end_trace
from app.errors import ClientGoneError
from app.protocol.budgets import RawHeaders
from app.telemetry.exemplars import recorded_trace
from app.telemetry.logs import RequestContext, current_request
from app.telemetry.metrics import Metrics
from app.tracing import Tracer

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.{0,64})?"
)
_TRACEPARENT_BYTES = 55  # later versions may add fields that we know nothing of
_OURS = frozenset({"http", "websocket"})
_FIRST = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SWITCHED = 101
_CLIENT_GONE = 499
_QUIET = ("/health", "/metrics", "/v1/live")


class RequestIdentity:
    """ASGI middleware around the whole app.

    A stream that is opened counts itself; one that is refused is a request like any other.

    Args:
        app: The app.
        metrics: Where requests are counted.
        models: Names that may appear in metrics.
        access_log: Whether each request is logged.
        tracer: Told of each request; None if nobody asked for that.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        models: Container[str],
        access_log: bool,
        tracer: Tracer | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._models = models
        self._access_log = access_log
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in _OURS:
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        context = identify(scope["headers"])
        trace = None
        if self._tracer is not None:
            trace = begin_trace(self._tracer, scope, context.traceparent)
            if trace is not None:
                scope["trace"] = trace
                context = replace(context, traceparent=trace.traceparent)
        scope["request_id"] = context.request_id
        echoed = [(b"x-request-id", context.request_id.encode())]
        if context.traceparent is not None:
            echoed.append((b"traceparent", context.traceparent.encode()))
        scope["echoed"] = echoed
        status = 0

        async def send_with_identity(message: Message) -> None:
            nonlocal status
            if message["type"] in _FIRST:
                status = message.get("status", _SWITCHED)
                message["headers"] = [*message.get("headers", ()), *echoed]
            await send(message)

        token = current_request.set(context)
        try:
            await self._app(scope, receive, send_with_identity)
        except ClientGoneError:
            status = _CLIENT_GONE
        except Exception:
            logger.exception("unhandled error")
            if not status and scope["type"] == "http":
                await _send_internal_error(scope["path"], send_with_identity)
        finally:
            status = status or scope.get("answered", 0)
            if status != _SWITCHED:
                self._record(scope, status, time.perf_counter() - began_s, context.traceparent)
            if trace is not None:
                end_trace(trace, scope, _route(scope), status, context.request_id)
            current_request.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float, traceparent: str | None) -> None:
        route = _route(scope)
        model = scope.get("path_params", {}).get("model", "")
        if model not in self._models:
            model = ""
        took = self._metrics.request_seconds.labels(model, route, str(status))
        took.observe(seconds, recorded_trace(traceparent))
        if not self._access_log:
            return
        level = logging.DEBUG if route.startswith(_QUIET) else logging.INFO
        if logger.isEnabledFor(level):
            facts = {
                "method": scope.get("method", "GET"),
                "path": scope["path"],
                "status": status,
                "duration_ms": round(1e3 * seconds, 3),
            }
            if (principal := scope.get("principal")) is not None:
                facts["key"] = principal
            logger.log(level, "request", extra={"facts": facts})


def _route(scope: Scope) -> str:
    """The template of a request's path."""
    route: str = getattr(scope.get("route") or scope.get("endpoint"), "path", "unmatched")
    return route


def identify(headers: RawHeaders) -> RequestContext:
    """Read who a request is, or name it, and the trace it belongs to."""
    request_id = traceparent = None
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            traceparent = value[:_TRACEPARENT_BYTES].decode()
    return RequestContext(request_id or f"{random.getrandbits(128):032x}", traceparent)


async def _send_internal_error(path: str, send: Send) -> None:
    status, body, media_type = internal_error(path)
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
