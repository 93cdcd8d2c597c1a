"""OpenMetrics as the client library's own strict parser reads it."""

from __future__ import annotations

import time

import pytest
from prometheus_client import Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.telemetry.exemplars import Exemplar, recorded_trace
from app.telemetry.families import Families, Family, collected, written
from app.telemetry.merging import merged
from app.telemetry.metrics import Metrics
from app.telemetry.openmetrics import is_wanted, openmetrics
from tests.scrapes import Samples, scraped
from tests.unit.telemetry.test_merging import busy_metrics

TRACE = "0af7651916cd43dd8448eb211c80319c"


def strictly_read(text: bytes) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def traced_metrics() -> Metrics:
    metrics = busy_metrics()
    took = metrics.request_seconds.labels("m", "/v1/infer", "200")
    took.observe(0.004, TRACE)
    took.observe(20.0)
    return metrics


def exemplars(text: bytes) -> dict[str, tuple[str, float]]:
    """Trace and value by upper bound."""
    return {
        sample.labels["le"]: (sample.exemplar.labels["trace_id"], sample.exemplar.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_it_says_what_the_text_format_says() -> None:
    text = traced_metrics().render()
    expected = {key: v for key, v in scraped(text).items() if not key[0].endswith("_created")}
    expected = {key: v for key, v in expected.items() if not key[0].startswith("process")}
    found = strictly_read(openmetrics(text))
    assert {key: v for key, v in found.items() if not key[0].startswith("process")} == expected


def test_a_bucket_shows_the_trace_of_a_request_that_fell_into_it() -> None:
    metrics = traced_metrics()
    text = openmetrics(metrics.render(), metrics.traced().values())
    assert exemplars(text) == {"0.005": (TRACE, 0.004)}


def test_processes_together_show_the_latest_of_their_traces() -> None:
    families: list[Families] = []
    for trace_id in ("a" * 32, "b" * 32):
        metrics = Metrics()
        metrics.request_seconds.labels("m", "/v1/infer", "200").observe(0.004, trace_id)
        data = [family.to_json() for family in metrics.families().values()]
        families.append({family.name: family for family in map(Family.from_json, data)})
        time.sleep(0.002)
    together = merged(reversed(families))
    text = openmetrics(written(together.values()), together.values())
    assert exemplars(text) == {"0.005": ("b" * 32, 0.004)}


def test_help_is_escaped_as_openmetrics_wants() -> None:
    metrics = Metrics()
    Counter("odd", 'Says "so"', registry=metrics.registry)
    (odd,) = [
        family
        for family in text_string_to_metric_families(openmetrics(metrics.render()).decode())
        if family.name == "odd"
    ]
    assert odd.documentation == 'Says "so"'


def test_nothing_is_a_scrape_too() -> None:
    assert strictly_read(openmetrics(b"")) == {}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", True),
        ("text/plain;q=0.5, Application/OpenMetrics-Text; version=0.0.1; q=0.75", True),
        ("application/openmetrics-text;q=0, text/plain", False),
    ],
)
def test_openmetrics_is_for_who_asks_for_it(accept: str, wanted: bool) -> None:
    assert is_wanted(accept) is wanted


def test_only_a_trace_that_is_recorded_is_worth_a_link() -> None:
    assert recorded_trace(None) is None
    assert recorded_trace(f"00-{TRACE}-00f067aa0ba902b7-00") is None
    assert recorded_trace(f"00-{TRACE}-00f067aa0ba902b7-01") == TRACE


def test_exemplars_are_read_from_a_collector() -> None:
    family = collected(traced_metrics().request_seconds)["sentryfuse_request_duration_seconds"]
    (exemplar,) = family.exemplars.values()
    assert isinstance(exemplar, Exemplar)
    assert exemplar.at_s == pytest.approx(time.time(), abs=60)
