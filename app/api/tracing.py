"""A request over HTTP in the words of OpenTelemetry's conventions."""

from __future__ import annotations

from starlette.types import Scope

from app.protocol.budgets import RawHeaders
from app.tracing import Attributes, RequestTrace, Tracer

_UNTRACED = ("/health", "/metrics", "/v2/health")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def begin_trace(tracer: Tracer, scope: Scope, traceparent: str | None) -> RequestTrace | None:
    """Begin the trace of a request; probes and scrapes have none, nor do streams.

    Args:
        tracer: Makes it.
        scope: Of the request.
        traceparent: As it was sent, if it was well-formed.
    """
    if scope["type"] != "http" or scope["path"].startswith(_UNTRACED):
        return None
    return tracer.begin(traceparent, tracestate_of(scope["headers"]), _of_request(scope))


def end_trace(trace: RequestTrace, scope: Scope, route: str, status: int, request_id: str) -> None:
    """Finish the trace of a request that is over.

    Args:
        trace: That trace.
        scope: Of the request.
        route: Template of its path.
        status: Of its answer; 0 if there was none.
        request_id: As it stands in the log.
    """
    known = {"sentryfuse.request_id": request_id}
    facts: Attributes = {**known, "http.route": route, "http.response.status_code": status}
    error = str(status) if status >= 500 or not status else None
    trace.end(f"{_method(scope)} {route}", facts, error=error)


def tracestate_of(headers: RawHeaders) -> str | None:
    """Return what other tracing systems wrote beside the ``traceparent``."""
    found = [value.decode("latin-1") for name, value in headers if name == b"tracestate"]
    return ",".join(found) or None


def _of_request(scope: Scope) -> Attributes:
    attributes = {
        "http.request.method": _method(scope),
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme", "http"),
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if scope.get("client"):
        attributes["client.address"] = scope["client"][0]
    return attributes


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "_OTHER"
