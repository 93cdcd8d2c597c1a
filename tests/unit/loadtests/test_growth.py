"""How curves of growth bend, what a stretch of requests sums up to, and models of any size."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.growth.command import fill, read_points, summary
from benchmarks.growth.dimensions import DROPPING, STRICT, WHOLE
from benchmarks.growth.material import dense_flops, dropping_messages, full_message, sized_bundle
from benchmarks.growth.pictures import draw
from benchmarks.growth.point import Point, overall, steepest, stretch_of
from loadtests.client import Volley
from loadtests.outcome import Outcome
from sentryfuse.bench import Record


def outcome(latency_s: float, **more: object) -> Outcome:
    usual = {"status": 200, "budget_met": True, "stages_s": {"total": latency_s, "build": 0.0}}
    return Outcome(scheduled_s=1.0, first_byte_s=1.0 + latency_s, **{**usual, **more})


def volley(*outcomes: Outcome) -> Volley:
    return Volley(outcomes=outcomes, began_s=0.0, duration_s=2.0, cpu_s=0.1)


def point(size: float, p50_s: float) -> Point:
    served = stretch_of(volley(*[outcome(p50_s)] * 4))
    kinds = dict.fromkeys((WHOLE, DROPPING, STRICT), served)
    return Point(size=size, ready_s=size, idle_bytes=10, loaded_bytes=20, stretches=kinds)


def test_an_exponent_is_one_for_a_line_and_two_for_a_square() -> None:
    sizes = (1.0, 2.0, 4.0)
    assert steepest(sizes, (3.0, 6.0, 12.0)) == pytest.approx(1)
    assert steepest(sizes, (1.0, 4.0, 16.0)) == pytest.approx(2)
    assert steepest(sizes, (5.0, 5.0, 5.0)) == 0


def test_a_cliff_shows_as_the_steepest_step_even_where_the_whole_looks_gentle() -> None:
    sizes, values = (2.0, 4.0, 8.0, 16.0), (1.0, 1.0, 16.0, 16.0)
    assert steepest(sizes, values) == pytest.approx(4)
    assert overall(sizes, values) == pytest.approx(4 / 3)


def test_points_without_a_value_and_curves_of_one_point_have_no_exponent() -> None:
    assert steepest((1.0, 2.0), (0.0, 3.0)) == 0
    assert overall((5.0,), (3.0,)) == 0


def test_a_stretch_counts_what_was_not_answered_by_its_reason() -> None:
    found = stretch_of(
        volley(
            outcome(0.1),
            outcome(0.3, budget_met=False, stages_s={"total": 0.3, "build": 0.2}),
            outcome(0.01, status=429, error="shed"),
            Outcome(scheduled_s=0.0, error="no answer"),
        )
    )
    assert (found.sent, found.served, found.in_time) == (4, 2, 1)
    assert found.p50_s == pytest.approx(0.2)
    assert found.rate_hz == 1.0
    assert found.build_share == 0.5
    assert found.errors == {"shed": 1, "no answer": 1}


def test_a_stretch_in_which_nothing_was_answered_is_all_zeros() -> None:
    found = stretch_of(volley(Outcome(scheduled_s=0.0, error="x")))
    assert (found.served, found.p50_s, found.build_share) == (0, 0.0, 0.0)


def test_models_grow_with_their_sensors_and_with_their_tokens_but_hardly_with_long_patches() -> (
    None
):
    base = dense_flops(sized_bundle(2, 64))
    assert dense_flops(sized_bundle(4, 64)) > 1.9 * base
    long, many = sized_bundle(2, 512), sized_bundle(2, 512, patch=5)
    assert dense_flops(long) < 2 * base
    assert dense_flops(many) > 3 * base


def test_dropping_requests_have_sets_of_sensors_and_the_headers_asked_for() -> None:
    bundle = sized_bundle(3, 8)
    sent = dropping_messages(bundle, 20, model="m", headers={"X-Latency-Budget-Ms": "50"})
    assert len({m.count(b"sensor_") for m in sent}) > 1
    assert all(b"sensor_" in m and b"X-Latency-Budget-Ms: 50" in m for m in sent)
    assert all(m.startswith(b"POST /v1/models/m/infer ") for m in sent)
    assert full_message(bundle).count(b"sensor_") == 3


def test_a_record_has_figures_and_points_that_can_be_read_and_drawn_again(tmp_path: Path) -> None:
    record = Record("growth-modalities", "How?")
    points = [point(2.0, 0.1), point(4.0, 0.4)]
    fill(record, "modalities", points)
    assert record.figures["growth_modalities_p50_exponent"]["value"] == pytest.approx(2)
    assert record.figures["growth_modalities_strict_in_time_share_last"]["value"] == 1.0
    read = read_points(record.save(tmp_path))
    assert read == points
    picture = draw(read, "sensors", tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "in time of strict requests" in picture
    assert "in time 100 %" in summary(points[0])
