"""What every call passes on its way in and out: identity, keys, counting, errors, the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import grpc

from app.api.context import identify
from app.api.errors import problem_of
from app.errors import DeadlineError, NotReadyError, RequestError
from app.rpc.call import Call, Method, RawMetadata
from app.rpc.status import Metadata, code_of, message_of, metadata_of
from app.rpc.tracing import begin_trace, end_trace
from app.security import Admission
from app.telemetry.exemplars import recorded_trace
from app.telemetry.logs import current_request
from app.telemetry.metrics import Metrics
from app.tracing import Tracer

logger = logging.getLogger(__name__)

_MOST_MICROSECONDS = 99_999_999  # a grpc-timeout has eight digits
_SAME_MOMENT_S = 0.1
_QUIET_S = 0.1
_MOST_KNOCKING_S = 0.5
_POLL_S = 0.02


class Door:
    """Lets calls in, and turns what becomes of them into statuses.

    Messages come through as bytes and are read behind this door: gRPC's own reading would answer
    one that is malformed as if the fault were ours.

    Args:
        admission: Knows the API keys, and how often each caller asks.
        metrics: Where calls are counted.
        access_log: Whether each call is logged.
        clock: Monotone seconds.
        tracer: Told of each call; None if nobody asked for that.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        metrics: Metrics,
        access_log: bool,
        clock: Callable[[], float],
        tracer: Tracer | None = None,
    ) -> None:
        self._admission = admission
        self._metrics = metrics
        self._access_log = access_log
        self._clock = clock
        self._tracer = tracer
        self._closed = False
        self._inside = 0
        self._came_s = clock()

    async def close(self, grace_s: float) -> None:
        """Let nobody in any more; return when everybody is out.

        Calls that gRPC has read but not handed over when its server stops are lost: so this also
        waits for a moment in which nobody knocks.

        Args:
            grace_s: After which those who are still inside are left behind.
        """
        self._closed = True
        began_s = self._clock()
        while (now_s := self._clock()) - began_s < grace_s:
            quiet = now_s - self._came_s > _QUIET_S or now_s - began_s > _MOST_KNOCKING_S
            if quiet and not self._inside:
                return
            await asyncio.sleep(_POLL_S)
        logger.error("%d calls are cut off", self._inside)

    def handlers(self, methods: Iterable[Method]) -> list[grpc.GenericRpcHandler]:
        """Return what gRPC needs to find these methods."""
        by_service: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
        for method in methods:
            handler = grpc.unary_unary_rpc_method_handler(self._behaviour(method))
            by_service.setdefault(method.service, {})[method.name] = handler
        return [grpc.method_handlers_generic_handler(s, hs) for s, hs in by_service.items()]

    def _behaviour(self, method: Method) -> Callable[[bytes, Any], Any]:
        async def behaviour(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return await self._serve(method, data, context)

        return behaviour

    async def _serve(self, method: Method, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Serve one call, in a task of its own."""
        call = Call(headers=_headers(context), received_s=self._clock())
        identity = identify(call.headers)
        if self._tracer is not None and not method.quiet:
            call.trace = begin_trace(self._tracer, method, call.headers, identity.traceparent)
            identity = replace(identity, traceparent=call.trace.traceparent)
        current_request.set(identity)
        self._came_s = call.received_s
        self._inside += 1
        echoed: Metadata = (("x-request-id", identity.request_id),)
        if identity.traceparent is not None:
            echoed = (*echoed, ("traceparent", identity.traceparent))
        code, detail, answer = grpc.StatusCode.OK, "", b""
        metadata: Metadata = ()
        try:
            answer = await self._answer(method, data, call, context)
            metadata = tuple(call.trailers)
        except RequestError as error:
            facts = {"problem": problem_of(error).slug}
            logger.info("refused: %s", error, extra={"facts": facts})
            code, detail, metadata = code_of(error), message_of(error), metadata_of(error)
        except asyncio.CancelledError:
            # Callers give up when their deadline passes, and may do so before our clock says it.
            remaining_s = context.time_remaining()
            late = remaining_s is not None and remaining_s < _SAME_MOMENT_S
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
            raise
        except Exception:
            logger.exception("unhandled error")
            code, detail = grpc.StatusCode.INTERNAL, "a fault in the service; see its log"
        finally:
            self._inside -= 1
            self._record(method, call, code, identity.traceparent)
            if call.trace is not None:
                end_trace(call.trace, method, code, identity.request_id)
        if code is not grpc.StatusCode.OK:
            await context.abort(code, detail, (*metadata, *echoed))
        context.set_trailing_metadata((*metadata, *echoed))
        return answer

    async def _answer(
        self, method: Method, data: bytes, call: Call, context: grpc.aio.ServicerContext
    ) -> bytes:
        if self._closed and not method.quiet:
            raise NotReadyError("the service was told to end", retry_after_s=_MOST_KNOCKING_S)
        if context.time_remaining() == 0:
            raise DeadlineError("the deadline had passed when the call arrived")
        if method.scope is not None and not self._admission.open:
            peer = address_of(context.peer())
            call.principal = self._admission.admit(call.headers, method.scope, peer)
        return await method.answer(data, call)

    def _record(
        self, method: Method, call: Call, code: grpc.StatusCode, traceparent: str | None
    ) -> None:
        seconds = self._clock() - call.received_s
        route = f"grpc:{method.name}"
        took = self._metrics.request_seconds.labels(call.model, route, code.name)
        took.observe(seconds, recorded_trace(traceparent))
        if not self._access_log:
            return
        level = logging.DEBUG if method.quiet else logging.INFO
        if logger.isEnabledFor(level):
            facts = {
                "method": "gRPC",
                "path": method.path,
                "status": code.name,
                "duration_ms": round(1e3 * seconds, 3),
            }
            if call.principal is not None:
                facts["key"] = call.principal
            logger.log(level, "request", extra={"facts": facts})


def _headers(context: grpc.aio.ServicerContext) -> RawMetadata:
    """Return a call's metadata, and what is left of its deadline as the header that it came as."""
    headers = [
        (key.encode(), value if isinstance(value, bytes) else value.encode())
        for key, value in context.invocation_metadata() or ()
    ]
    remaining_s: float | None = context.time_remaining()
    if remaining_s:
        headers.append((b"grpc-timeout", timeout_header(remaining_s)))
    return tuple(headers)


def address_of(peer: str) -> str:
    """Return the address in ``ipv4:1.2.3.4:5`` or ``ipv6:%5B::1%5D:5``."""
    _, _, rest = peer.partition(":")
    return unquote(rest.rpartition(":")[0]).strip("[]")


def timeout_header(seconds: float) -> bytes:
    """Write a time as a ``grpc-timeout``, as finely as its eight digits allow."""
    for unit, per_second in ((b"u", 1e6), (b"m", 1e3), (b"S", 1.0)):
        amount = max(1, int(seconds * per_second))
        if amount <= _MOST_MICROSECONDS:
            return str(amount).encode() + unit
    return b"99999999S"
