"""Spans by the OpenTelemetry SDK, sent over OTLP/HTTP from a thread; imported only where wanted.

The SDK reads its own ``OTEL_…`` variables: headers and certificates of the exporter, the sampler,
the name of the service, the size of the queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.answering.answer import Answer
from app.answering.ask import Ask
from app.tracing.stages import answer_attributes, stages
from app.tracing.tracer import Attributes

_EXPORT_S = 5.0
_FAREWELL_S = 2.0


class OtlpTracer:
    """Makes spans and hands them to the exporter's thread; what it can't send it drops.

    Args:
        endpoint: Base URL of a collector, ``http://host:4318``.
        version: Of the service.
        clock: The service's, monotone seconds.
    """

    def __init__(
        self, endpoint: str, *, version: str, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_S
        )
        ours = Resource.create({"service.name": "sentryfuse", "service.version": version})
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,  # the service says when
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("sentryfuse", version)
        self._propagator = TraceContextTextMapPropagator()
        self._clock = clock

    def begin(
        self, traceparent: str | None, tracestate: str | None, attributes: Attributes
    ) -> OtlpTrace:
        """Begin the trace of a request, or go on with its caller's."""
        context = Context()
        if traceparent is not None:
            carrier = {"traceparent": traceparent}
            if tracestate is not None:
                carrier["tracestate"] = tracestate
            context = self._propagator.extract(carrier, context)
        return OtlpTrace(self._tracer, context, attributes, self._clock)

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        giving_up = threading.Timer(_FAREWELL_S, self._exporter.shutdown)
        giving_up.daemon = True
        giving_up.start()
        self._provider.shutdown()
        giving_up.cancel()


class OtlpTrace:
    """The spans of one request: its own, and one for each stage, made once it is over."""

    def __init__(
        self,
        tracer: trace.Tracer,
        context: Context,
        attributes: Attributes,
        clock: Callable[[], float],
    ) -> None:
        self._tracer = tracer
        self._began_s = clock()
        self._began_ns = time.time_ns()
        self._span: Span = tracer.start_span(
            "request", context, SpanKind.SERVER, dict(attributes), start_time=self._began_ns
        )
        self._told: tuple[Ask, Answer, float] | None = None

    @cached_property
    def traceparent(self) -> str:
        """Names the request's own span (W3C Trace Context)."""
        context = self._span.get_span_context()
        return (
            f"00-{trace.format_trace_id(context.trace_id)}"
            f"-{trace.format_span_id(context.span_id)}-{context.trace_flags:02x}"
        )

    def tell(self, ask: Ask, answer: Answer, first_byte_s: float) -> None:
        """Keep what became of an inference until the request is over."""
        self._told = (ask, answer, first_byte_s)

    def end(self, name: str, attributes: Attributes, *, error: str | None) -> None:
        """Finish the spans and leave them to the exporter."""
        span = self._span
        if not span.is_recording():
            return
        span.update_name(name)
        span.set_attributes(dict(attributes))
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        if self._told is not None:
            self._add_stages(*self._told)
        span.end()

    def _add_stages(self, ask: Ask, answer: Answer, first_byte_s: float) -> None:
        self._span.set_attributes(dict(answer_attributes(answer)))
        within = trace.set_span_in_context(self._span, Context())
        laid_out = stages(
            answer.receipt,
            began_s=self._began_s,
            received_s=ask.received_s,
            waited_s=ask.waited_s,
            first_byte_s=first_byte_s,
        )
        for stage in laid_out:
            child = self._tracer.start_span(
                stage.name, within, start_time=self._nanoseconds(stage.from_s)
            )
            child.end(self._nanoseconds(stage.to_s))

    def _nanoseconds(self, at_s: float) -> int:
        """Turn a reading of the service's clock into the time of day."""
        return self._began_ns + round(1e9 * (at_s - self._began_s))
