"""The table of metrics in the documentation, against what the service exposes."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.main import create_app
from app.settings import Settings
from app.telemetry.families import Families, collected
from app.telemetry.metrics import Metrics
from app.telemetry.streams import StreamMeters
from tests.unit.telemetry.test_merging import busy_metrics

PAGE = Path(__file__).parents[3] / "docs/monitoring.md"
Row = tuple[str, frozenset[str]]
"""Type and labels."""


def documented() -> dict[str, Row]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exposed() -> Families:
    """Every family of a service that has everything, each with at least one series."""
    streams = StreamMeters(registry := CollectorRegistry())
    streams.ended(1000)
    streams.windows("answered")
    metrics: Metrics = create_app(
        Settings(redis_url="redis://127.0.0.1:1/0", power_cap_w=100)
    ).parts.service.metrics
    for counter in (metrics.auth_refused, metrics.keys_read, metrics.model_loads):
        counter.labels("any").inc()
    metrics.connections_closed.labels("any").inc()
    return {**busy_metrics().families(), **metrics.families(), **collected(registry)}


def test_the_documented_metrics_are_those_that_the_service_exposes() -> None:
    found: dict[str, Row] = {}
    for name, family in exposed().items():
        labels = {label for series in family.series for label in re.findall(r'(\w+)="', series)}
        if not name.endswith("_created"):
            found[name] = (family.kind, frozenset(labels - {"le"}))
    assert documented() == found
