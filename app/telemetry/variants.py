"""What is counted of each variant in memory, and how it is written for Prometheus.

With every ratio of every presence in memory this is nearly all of a scrape: five thousand lines.
The client library writes them in 80 ms, during which the event loop does nothing else, longer
than requests have; from plain counters with their labels written beforehand it is a few.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentryfuse.variants import VariantCard

_PREFIX = "sentryfuse_"
_LABELS = ("model", "version", "presence", "ratio")
_GAUGES = {
    "variant_flops": "Operations of one window",
    "variant_parameters": "Weights of the variant",
    "variant_memory_bytes": "Size of the variant's graph",
    "variant_expected_accuracy_ratio": "Accuracy on validation data",
}
_COUNTERS = {
    "variant_energy_joules": "Active energy",
    "variant_predicted_seconds": "Time that inferences were expected to take when they began",
    "variant_predicted_joules": "Active energy that was expected when inferences began",
    "variant_inferences": "Windows answered",
    "flops": "Operations carried out",
}
_SECONDS = "variant_inference_seconds"
_SECONDS_TEXT = "Time of one inference"


@dataclass(frozen=True, slots=True)
class Owner:
    """The model that a variant is of."""

    model: str
    version: str
    modalities: tuple[str, ...]


class VariantMeters:
    """The counters of one variant.

    Args:
        owner: Its model.
        card: What it is.
        buckets: Upper bounds of the histogram of inference times, in seconds, ascending.
    """

    __slots__ = (
        *("_bucket_lines", "_bounds", "_counts", "_energy_j", "_flops_each"),
        *("_gauges", "_labels", "_predicted_j", "_predicted_s", "_seconds", "_windows", "presence"),
    )

    def __init__(self, owner: Owner, card: VariantCard, buckets: Sequence[float]) -> None:
        self.presence = (
            *(owner.model, owner.version, card.presence.hex),
            ",".join(card.presence.names(owner.modalities)),
        )
        """Model, version, presence and the names of its sensors."""
        values = (*self.presence[:3], f"{card.permille / 1000:g}")
        named = zip(_LABELS, map(_escaped, values), strict=True)
        inner = ",".join(f'{name}="{value}"' for name, value in named)
        self._labels = f"{{{inner}}} "
        self._bounds = tuple(buckets)
        self._bucket_lines = tuple(
            f'{_PREFIX}{_SECONDS}_bucket{{le="{bound}",{inner}}} '
            for bound in (*(float(b) for b in buckets), "+Inf")
        )
        self._counts = [0] * (len(self._bounds) + 1)
        self._seconds = 0.0
        self._energy_j = 0.0
        self._predicted_s = self._predicted_j = 0.0
        self._windows = 0
        self._flops_each = card.flops
        self._gauges = (
            float(card.flops),
            float(card.parameters),
            float(card.memory_bytes),
            float(card.expected_accuracy),
        )

    def record(
        self,
        *,
        windows: int,
        inference_s: float,
        energy_j: float,
        predicted_s: float,
        predicted_j: float,
    ) -> None:
        """Count one run of the variant: what it took, and what had been expected of it."""
        self._windows += windows
        self._energy_j += energy_j
        self._predicted_s += predicted_s
        self._predicted_j += predicted_j
        self._seconds += inference_s
        self._counts[bisect_left(self._bounds, inference_s)] += 1

    def samples(self) -> Iterator[tuple[str, str, str, str, float]]:
        """Every series: the name of its metric, its kind, its text, itself, its value."""
        labels = self._labels.rstrip()
        for (name, text), value in zip(_GAUGES.items(), self._gauges, strict=True):
            yield _PREFIX + name, "gauge", text, f"{_PREFIX}{name}{labels}", value
        for (name, text), value in zip(_COUNTERS.items(), self._counted(), strict=True):
            total = f"{_PREFIX}{name}_total"
            yield total, "counter", text, f"{total}{labels}", value
        for line in self.histogram_lines():
            series, _, count = line.rpartition(" ")
            yield _PREFIX + _SECONDS, "histogram", _SECONDS_TEXT, series, float(count)

    def gauge_lines(self) -> Iterator[str]:
        """One line for each of the gauges, in their order."""
        for name, value in zip(_GAUGES, self._gauges, strict=True):
            yield f"{_PREFIX}{name}{self._labels}{value}\n"

    def counter_lines(self) -> Iterator[str]:
        """One line for each of the counters, in their order."""
        for name, value in zip(_COUNTERS, self._counted(), strict=True):
            yield f"{_PREFIX}{name}_total{self._labels}{value}\n"

    def _counted(self) -> tuple[float, ...]:
        """Values of the counters, in their order."""
        return (
            self._energy_j,
            self._predicted_s,
            self._predicted_j,
            float(self._windows),
            float(self._windows * self._flops_each),
        )

    def histogram_lines(self) -> Iterator[str]:
        """Buckets, count and sum of the inference times."""
        total = 0
        for line, count in zip(self._bucket_lines, self._counts, strict=True):
            total += count
            yield f"{line}{float(total)}\n"
        yield f"{_PREFIX}{_SECONDS}_count{self._labels}{float(total)}\n"
        yield f"{_PREFIX}{_SECONDS}_sum{self._labels}{self._seconds}\n"


def variants_text(meters: Sequence[VariantMeters]) -> str:
    """Write all variants in Prometheus' text format, metric by metric."""
    gauges = zip(*(m.gauge_lines() for m in meters), strict=True)
    counters = zip(*(m.counter_lines() for m in meters), strict=True)
    lines: list[str] = []
    for (name, text), rows in zip(_GAUGES.items(), gauges, strict=bool(meters)):
        lines += (_head(name, "gauge", text), *rows)
    if meters:
        lines.append(_head(_SECONDS, "histogram", _SECONDS_TEXT))
    for each in meters:
        lines += each.histogram_lines()
    for (name, text), rows in zip(_COUNTERS.items(), counters, strict=bool(meters)):
        lines += (_head(f"{name}_total", "counter", text), *rows)
    return "".join(lines)


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {_PREFIX}{name} {text}\n# TYPE {_PREFIX}{name} {kind}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
