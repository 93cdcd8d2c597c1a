"""What a live page shows is picked from the metrics, and adds up to them."""

from __future__ import annotations

import pytest

from app.telemetry.families import Families, Family
from app.telemetry.live import samples, totals
from app.telemetry.merging import merged
from app.telemetry.metrics import Metrics
from tests.unit.telemetry.test_merging import busy_metrics


def observed(*requests: tuple[str, str, float]) -> Families:
    metrics = Metrics()
    for route, code, seconds in requests:
        metrics.request_seconds.labels("m", route, code).observe(seconds)
    return metrics.families()


def test_only_answers_to_inference_count_as_latency() -> None:
    found = totals(
        observed(
            ("/v1/infer", "200", 0.004),
            ("/v2/models/{model}/infer", "200", 0.004),
            ("grpc:ModelInfer", "OK", 0.2),
            ("/v1/infer", "429", 0.001),
            ("/v1/models", "200", 0.001),
        )
    )
    assert found["requests"] == {"answered": 3, "refused": 1}
    bounds, counts = found["latency"]["bounds_s"], found["latency"]["counts"]
    assert len(counts) == len(bounds) + 1
    assert sum(counts) == 3
    assert counts[bounds.index(0.005)] == 2


def test_what_takes_longer_than_all_bounds_is_counted_last() -> None:
    found = totals(observed(("/v1/infer", "200", 1e3)))
    assert found["latency"]["counts"][-1] == 1


def test_counters_of_two_processes_add_up() -> None:
    one, two = busy_metrics().families(), busy_metrics().families()
    (variant,) = totals(merged([one, two]))["variants"]["used"]
    assert variant["windows"] == 4
    assert variant["ratio"] == 0.5
    assert variant["presence"] == ["sensor_0", "sensor_1", "sensor_2", "sensor_3", "sensor_4"]
    assert totals(merged([one, two]))["shed"]["busy"] == 6


def test_variants_that_answered_nothing_are_only_counted() -> None:
    families = busy_metrics().families()
    family = families["sentryfuse_variant_inferences_total"]
    family.series = dict.fromkeys(family.series, 0.0)
    assert totals(families)["variants"] == {"in_memory": 1, "used": []}


def test_a_service_that_has_counted_nothing_yet_has_something_to_show() -> None:
    found = totals({})
    assert found["latency"] == {"bounds_s": [], "counts": []}
    assert found["power"]["cap_w"] is None


@pytest.mark.parametrize("value", ['a "b"', "a\\b", "a\nb", 'x="y",z'])
def test_labels_are_read_as_they_were_written(value: str) -> None:
    metrics = Metrics()
    metrics.shed.labels(value).inc()
    counted = [(s, n) for s, n in samples(metrics.families(), "sentryfuse_shed_total") if n]
    assert counted == [({"reason": value}, 1.0)]


def test_a_family_may_hold_series_of_other_names() -> None:
    families = {"h": Family("h", "histogram", "", {"h_sum": 2.0, 'h_bucket{le="1.0"}': 1.0})}
    assert list(samples(families, "h", "h_bucket")) == [({"le": "1.0"}, 1.0)]
