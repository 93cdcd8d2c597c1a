"""Counters of variants, against the client library's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.telemetry.variants import Owner, VariantMeters, variants_text
from sentryfuse.presence import Presence
from tests.scrapes import Samples, scraped
from tests.unit.telemetry.test_metrics import card

BUCKETS = (0.001, 0.005, 1.0)
LABELS = ("model", "version", "presence", "ratio")
RUNS = ((1, 0.0005, 0.01), (4, 0.001, 0.02), (16, 0.0050001, 0.3), (2, 7.5, 1e-6))
ODD_NAME = 'a "model" of \\ ours'


def written(*meters: VariantMeters) -> Samples:
    return scraped(variants_text(meters).encode())


def by_the_client_library(permilles: tuple[int, ...]) -> Samples:
    registry = CollectorRegistry()
    gauges = {
        "flops": 100,
        "parameters": 10,
        "memory_bytes": 40,
        "expected_accuracy_ratio": 0.8,
    }
    seconds = Histogram(
        "sentryfuse_variant_inference_seconds", "s", LABELS, buckets=BUCKETS, registry=registry
    )
    joules, predicted_s, predicted_j, windows, flops = (
        Counter(f"sentryfuse_{name}", "c", LABELS, registry=registry)
        for name in (
            *("variant_energy_joules", "variant_predicted_seconds", "variant_predicted_joules"),
            *("variant_inferences", "flops"),
        )
    )
    shown = [
        (Gauge(f"sentryfuse_variant_{name}", "g", LABELS, registry=registry), value)
        for name, value in gauges.items()
    ]
    for permille in permilles:
        values = (ODD_NAME, "7", "3", f"{permille / 1000:g}")
        for gauge, value in shown:
            gauge.labels(*values).set(value)
        for count, inference_s, energy_j in RUNS:
            seconds.labels(*values).observe(inference_s)
            joules.labels(*values).inc(energy_j)
            predicted_s.labels(*values).inc(2 * inference_s)
            predicted_j.labels(*values).inc(3 * energy_j)
            windows.labels(*values).inc(count)
            flops.labels(*values).inc(100 * count)
    return scraped(generate_latest(registry))


def test_a_scrape_of_variants_reads_as_one_of_the_client_library() -> None:
    owner = Owner(ODD_NAME, "7", ("left", "right"))
    meters = [VariantMeters(owner, card(Presence.full(2), p), BUCKETS) for p in (0, 250)]
    for each in meters:
        for windows, inference_s, energy_j in RUNS:
            each.record(
                windows=windows,
                inference_s=inference_s,
                energy_j=energy_j,
                predicted_s=2 * inference_s,
                predicted_j=3 * energy_j,
            )
    expected = by_the_client_library((0, 250))
    assert written(*meters) == {
        (name, labels): value
        for (name, labels), value in expected.items()
        if not name.endswith("_created")
    }


def test_without_variants_there_is_nothing_to_write() -> None:
    assert variants_text([]) == ""
