"""Metrics as values: families of series, to be added up over processes and written as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.registry import Collector

from app.telemetry.exemplars import Exemplar


@dataclass(slots=True)
class Family:
    """One metric with all of its series."""

    name: str
    """As it stands in the line with its type."""
    kind: str
    text: str
    series: dict[str, float] = field(default_factory=dict)
    """Values by name and labels, ``name{a="1"}``, in the order in which they are written."""
    exemplars: dict[str, Exemplar] = field(default_factory=dict)
    """By series; the text format has no place for them."""

    def to_json(self) -> list[Any]:
        """Plain data."""
        return [self.name, self.kind, self.text, self.series, self.exemplars]

    @classmethod
    def from_json(cls, data: list[Any]) -> Family:
        """Read what :meth:`to_json` gave."""
        name, kind, text, series, exemplars = data
        traced = {series: Exemplar(*exemplar) for series, exemplar in exemplars.items()}
        return cls(name, kind, text, dict(series), traced)


Families = dict[str, Family]
"""By name."""


def collected(registry: Collector) -> Families:
    """Read every metric of a registry or a collector as it would be written as text."""
    found: Families = {}
    for metric in registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        for sample in metric.samples:
            own, kind = name, metric.type
            if sample.name.endswith("_created"):  # the text format has no other place for it
                own, kind = sample.name, "gauge"
            family = found.setdefault(own, Family(own, kind, metric.documentation))
            series = _series(sample.name, sample.labels)
            family.series[series] = float(sample.value)
            if (seen := sample.exemplar) is not None:
                assert isinstance(seen.timestamp, float)
                family.exemplars[series] = Exemplar(
                    seen.labels["trace_id"], seen.value, seen.timestamp
                )
    return found


def written(families: Iterable[Family]) -> bytes:
    """Write families in Prometheus' text format."""
    lines = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.text}\n# TYPE {family.name} {family.kind}\n")
        lines += [f"{series} {_number(value)}\n" for series, value in family.series.items()]
    return "".join(lines).encode()


def escaped(value: str) -> str:
    """Write a label's value."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _series(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    inner = ",".join(f'{label}="{escaped(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)
