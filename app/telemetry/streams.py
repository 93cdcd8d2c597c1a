"""Metrics of streams."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMeters:
    """Counts streams, their windows, and how they end.

    Args:
        registry: Where the metrics are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge("sentryfuse_streams_open", "Streams that are open", registry=registry)
        self._ended = Counter(
            "sentryfuse_streams_ended",
            "Streams by the code they were closed with, or the status they were refused with",
            ("code",),
            registry=registry,
        )
        self._windows = Counter(
            "sentryfuse_stream_windows",
            "Windows of streams: answered, or why not",
            ("outcome",),
            registry=registry,
        )
        self._late = Counter(
            "sentryfuse_stream_late_samples",
            "Samples dropped because others of their time had come",
            registry=registry,
        )

    def ended(self, code: int, *, by_client: bool = False) -> None:
        """A stream ended; a client may close with any code it likes, which is no label."""
        self._ended.labels("client" if by_client else str(code)).inc()

    def windows(self, outcome: str, count: int = 1) -> None:
        """So many windows met this end."""
        if count:
            self._windows.labels(outcome).inc(count)

    def late(self, samples: int) -> None:
        """So many samples were dropped."""
        if samples:
            self._late.inc(samples)
