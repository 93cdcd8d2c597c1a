"""A call over gRPC in the words of OpenTelemetry's conventions."""

from __future__ import annotations

import grpc

from app.api.tracing import tracestate_of
from app.rpc.call import Method, RawMetadata
from app.tracing import Attributes, RequestTrace, Tracer

_OUR_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Statuses that the conventions count as errors of the server."""


def begin_trace(
    tracer: Tracer, method: Method, headers: RawMetadata, traceparent: str | None
) -> RequestTrace:
    """Begin the trace of a call."""
    attributes = {
        "rpc.system": "grpc",
        "rpc.service": method.service,
        "rpc.method": method.name,
    }
    return tracer.begin(traceparent, tracestate_of(headers), attributes)


def end_trace(trace: RequestTrace, method: Method, code: grpc.StatusCode, request_id: str) -> None:
    """Finish the trace of a call that is over."""
    number: int = code.value[0]
    facts: Attributes = {"rpc.grpc.status_code": number, "sentryfuse.request_id": request_id}
    error = code.name if code in _OUR_FAULTS else None
    trace.end(f"{method.service}/{method.name}", facts, error=error)
