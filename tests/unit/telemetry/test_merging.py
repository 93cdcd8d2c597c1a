from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge

from app.telemetry.families import Families, Family, collected, written
from app.telemetry.merging import RULES, Ratchet, merged
from app.telemetry.metrics import Metrics
from app.telemetry.variants import Owner
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle
from tests.scrapes import scraped


def counts(**values: float) -> Families:
    series = {f'c_total{{of="{name}"}}': value for name, value in values.items()}
    return {"c_total": Family("c_total", "counter", "Things", series)}


def gauge(name: str, value: float) -> Families:
    return {name: Family(name, "gauge", "A gauge", {name: value})}


def busy_metrics() -> Metrics:
    metrics = Metrics()
    metrics.request_seconds.labels("m", "/v1/infer", "200").observe(0.004)
    metrics.shed.labels("busy").inc(3)
    builder = VariantBuilder(random_bundle())
    presence = builder.bundle.spec.full_presence
    card = builder.build(builder.mask(presence, 0.5)).card
    meters = metrics.meters(Owner("m", "1", builder.bundle.spec.modality_names), card)
    metrics.show(meters)
    meters.record(windows=2, inference_s=0.003, energy_j=0.01, predicted_s=0.003, predicted_j=0.02)
    return metrics


def test_families_written_are_what_the_metrics_write_themselves() -> None:
    metrics = busy_metrics()
    alone = {k: v for k, v in scraped(metrics.render()).items() if "process" not in k[0]}
    merged_text = written(metrics.families().values())
    assert {k: v for k, v in scraped(merged_text).items() if "process" not in k[0]} == alone


def test_counters_and_buckets_of_processes_add_up() -> None:
    families = busy_metrics().families()
    total = scraped(written(merged([families, families, families]).values()))
    once = scraped(written(families.values()))
    for (name, labels), value in once.items():
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert total[name, labels] == 3 * value


def test_gauges_become_one_by_their_rule() -> None:
    for name, expected in (
        ("sentryfuse_queue_depth", 5.0),
        ("sentryfuse_slowdown_ratio", 3.0),
        ("sentryfuse_ready", 2.0),
    ):
        assert merged([gauge(name, 2.0), gauge(name, 3.0)])[name].series[name] == expected


def test_every_gauge_has_a_rule() -> None:
    families = busy_metrics().families()
    gauges = {n for n, f in families.items() if f.kind == "gauge" and not n.endswith("_created")}
    assert gauges - RULES.keys() == set()


def test_labels_are_escaped_and_odd_numbers_are_written() -> None:
    registry = CollectorRegistry()
    Gauge("g", "Odd", ["of"], registry=registry).labels('a"b\\c\nd').set(float("inf"))
    Counter("c", "Plain", registry=registry).inc()
    found = scraped(written(collected(registry).values()))
    assert found["g", frozenset({("of", 'a"b\\c\nd')})] == float("inf")
    assert found["c_total", frozenset()] == 1.0


def test_a_series_that_is_forgotten_and_comes_back_goes_on_where_it_was() -> None:
    ratchet = Ratchet()
    seen = [ratchet(f) for f in (counts(a=3), counts(), counts(a=1), counts(a=2))]
    assert [f["c_total"].series['c_total{of="a"}'] for f in seen] == [3, 3, 4, 5]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)), max_size=30))
def test_what_a_ratchet_lets_out_never_goes_backwards(steps: list[dict[str, int]]) -> None:
    ratchet = Ratchet()
    seen = [ratchet(counts(**step)) for step in steps]
    for earlier, later in pairwise(seen):
        for series, value in earlier["c_total"].series.items():
            assert later["c_total"].series.get(series, 0.0) >= value
