"""A histogram for the path of requests: one twentieth of the time of the client library's.

The library's takes a lock for each of several values; here everything happens on one event loop.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString


class Buckets:
    """Counts observations by upper bound.

    Args:
        bounds: Upper bounds, ascending; what is above the last is counted too.
    """

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, trace_id: str | None = None) -> None:
        """Count one observation; of a trace that is recorded, the last one of a bucket is kept."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._sum += value
        if trace_id is not None:
            self._exemplars[bucket] = Exemplar({"trace_id": trace_id}, value, time.time())

    @property
    def sum(self) -> float:
        """Of all observations."""
        return self._sum

    def cumulative(self) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Upper bounds, how many observations do not exceed each, and one that was traced."""
        counts = map(float, accumulate(self._counts))
        for bucket, bound in enumerate((*self._bounds, float("inf"))):
            name: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
            traced = self._exemplars.get(bucket)
            yield (name, next(counts)) if traced is None else (name, next(counts), traced)


class Histogram(Collector):
    """One metric, with :class:`Buckets` for each combination of its labels' values.

    Args:
        name: Of the metric.
        text: What it measures.
        labels: Names of its labels.
        bounds: Upper bounds of the buckets, ascending.
        registry: Where it is shown.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._buckets: dict[tuple[str, ...], Buckets] = {}
        registry.register(self)

    def labels(self, *values: str) -> Buckets:
        """Return the buckets of these values of the labels."""
        found = self._buckets.get(values)
        if found is None:
            found = self._buckets[values] = Buckets(self._bounds)
        return found

    def describe(self) -> list[Metric]:
        """The metric without its values."""
        return [HistogramMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterator[Metric]:
        """The metric with its values."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, buckets in self._buckets.items():
            family.add_metric(values, [*buckets.cumulative()], buckets.sum)
        yield family
