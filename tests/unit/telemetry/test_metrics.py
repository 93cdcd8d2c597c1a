from __future__ import annotations

import pytest

from app.telemetry.metrics import Metrics, NodeReading
from app.telemetry.variants import Owner, VariantMeters
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantCard
from tests.scrapes import scraped


def card(presence: Presence, permille: int) -> VariantCard:
    return VariantCard(
        presence=presence,
        permille=permille,
        mask_digest="",
        flops=100,
        parameters=10,
        memory_bytes=40,
        expected_accuracy=0.8,
        units_kept_ratio=1,
        parameters_kept_ratio=1,
        bytes_kept_ratio=1,
        flops_kept_ratio=1,
    )


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    return scraped(metrics.render()).get((f"sentryfuse_{name}", frozenset(labels.items())))


BOTH, ONE = Presence.full(2), Presence.of([0], 2)
LABELS = {"model": "m", "version": "1", "presence": "3", "ratio": "0.5"}


def shown(metrics: Metrics, card: VariantCard, version: str = "1") -> VariantMeters:
    meters = metrics.meters(Owner("m", version, ("left", "right")), card)
    metrics.show(meters)
    return meters


def test_a_run_adds_up_windows_time_energy_and_operations() -> None:
    metrics = Metrics()
    meters = shown(metrics, card(BOTH, 500))
    for _ in range(2):
        meters.record(
            windows=4, inference_s=0.002, energy_j=0.01, predicted_s=0.003, predicted_j=0.02
        )
    assert read(metrics, "variant_inferences_total", **LABELS) == 8
    assert read(metrics, "variant_inference_seconds_sum", **LABELS) == pytest.approx(0.004)
    assert read(metrics, "variant_energy_joules_total", **LABELS) == pytest.approx(0.02)
    assert read(metrics, "flops_total", **LABELS) == 800
    assert read(metrics, "variant_predicted_seconds_total", **LABELS) == pytest.approx(0.006)
    assert read(metrics, "variant_predicted_joules_total", **LABELS) == pytest.approx(0.04)


def test_versions_of_one_model_are_counted_apart() -> None:
    metrics = Metrics()
    for version, windows in (("1", 3), ("2", 5)):
        meters = shown(metrics, card(BOTH, 500), version)
        meters.record(
            windows=windows, inference_s=0.002, energy_j=0.01, predicted_s=0.003, predicted_j=0.02
        )
    assert read(metrics, "variant_inferences_total", **LABELS) == 3
    assert read(metrics, "variant_inferences_total", **{**LABELS, "version": "2"}) == 5


def test_a_hidden_variant_leaves_nothing_behind() -> None:
    metrics = Metrics()
    meters = shown(metrics, card(BOTH, 500))
    meters.record(windows=1, inference_s=1, energy_j=1, predicted_s=0.003, predicted_j=0.02)
    metrics.hide(meters)
    assert b'presence="3"' not in metrics.render()


def test_a_presence_is_named_as_long_as_one_of_its_variants_is_in_memory() -> None:
    metrics = Metrics()
    named = {"model": "m", "version": "1", "presence": "1", "modalities": "left"}
    first, second = (shown(metrics, card(ONE, permille)) for permille in (0, 500))
    metrics.hide(first)
    assert read(metrics, "presence_info", **named) == 1
    metrics.hide(second)
    assert read(metrics, "presence_info", **named) is None


def test_two_apps_do_not_share_their_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.shed.labels("busy").inc()
    assert read(one, "shed_total", reason="busy") == 1
    assert read(other, "shed_total", reason="busy") == 0


def test_the_node_is_read_once_for_each_scrape() -> None:
    readings: list[int] = []

    def node() -> NodeReading:
        readings.append(1)
        return NodeReading(
            energy_source="cpu-time",
            energy_quality="modelled",
            meter_faults={"wrap": 2},
            meter_failovers=1,
            energy_j=5.0,
            energy_of_j={"idle": 3.0, "requests": 1.5, "overhead": 0.5},
            power_w=4.0,
            power_cap_w=None,
            power_tokens_j=None,
            slowdown={"latency": 1.5, "energy": 0.75},
            queue_depth=2,
            ready=True,
            breaker_open=False,
        )

    metrics = Metrics()
    metrics.watch_node(node)
    assert not readings
    text = metrics.render().decode()
    assert len(readings) == 1
    assert 'sentryfuse_node_power_watts{source="cpu-time"} 4.0' in text
    assert 'sentryfuse_node_energy_joules_total{source="cpu-time"} 5.0' in text
    assert 'sentryfuse_energy_joules_total{use="requests"} 1.5' in text
    assert 'sentryfuse_meter_info{quality="modelled",source="cpu-time"} 1.0' in text
    assert 'sentryfuse_meter_faults_total{fault="wrap"} 2.0' in text
    assert 'sentryfuse_meter_faults_total{fault="frozen"} 0.0' in text
    assert "sentryfuse_meter_failovers_total 1.0" in text
    assert 'sentryfuse_slowdown_ratio{of="latency"} 1.5' in text
    assert 'sentryfuse_slowdown_ratio{of="energy"} 0.75' in text
    assert "sentryfuse_queue_depth 2.0" in text
    assert "sentryfuse_redis_breaker_open 0.0" in text
    assert "sentryfuse_power_cap_watts" not in text
    assert "sentryfuse_power_tokens_joules" not in text
