"""What the adapters of HTTP and gRPC need of tracing; OpenTelemetry is not imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from app.answering.answer import Answer
from app.answering.ask import Ask

Attributes = Mapping[str, str | int | float | bool | Sequence[str]]


class RequestTrace(Protocol):
    """One request that is being traced."""

    @property
    def traceparent(self) -> str:
        """Names the request's own span (W3C Trace Context)."""
        ...

    def tell(self, ask: Ask, answer: Answer, first_byte_s: float) -> None:
        """Keep what became of an inference until the request is over.

        Args:
            ask: The request.
            answer: With its receipt.
            first_byte_s: When the answer began to be written, on the service's clock.
        """
        ...

    def end(self, name: str, attributes: Attributes, *, error: str | None) -> None:
        """Finish: its last byte has been written.

        Args:
            name: Of the span; few of them, so the route and not the path.
            attributes: What is known by now.
            error: What to call the fault, if it was ours.
        """
        ...


class Tracer(Protocol):
    """Begins traces, and sends what they tell in the background."""

    def begin(
        self, traceparent: str | None, tracestate: str | None, attributes: Attributes
    ) -> RequestTrace:
        """Begin the trace of a request, or go on with its caller's.

        Args:
            traceparent: As the caller sent it, if it was well-formed.
            tracestate: Likewise.
            attributes: What a sampler may look at.
        """
        ...

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        ...
