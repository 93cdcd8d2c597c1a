"""Requests drawn for a scenario, or read from its file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtests.play.arrivals import draw_trace, paced, read_arrivals
from loadtests.play.sheet import (
    ArrivalSheet,
    CapStep,
    ModelSheet,
    NeighbourSheet,
    RequestSheet,
    Sheet,
    find_sheet,
    read_sheet,
)
from sentryfuse.bench.policies.traces import Arrival
from sentryfuse.errors import ConfigError

SENSORS = ("torso", "arm", "leg")
PLAIN = Sheet(about="x", seconds=20.0, arrivals=ArrivalSheet(rate_hz=200.0), name="plain")


def gaps(sheet: Sheet, rate_hz: float = 200.0) -> np.ndarray:
    trace = draw_trace(sheet, rate_hz=rate_hz, sensors=SENSORS)
    return np.diff([a.at_s for a in trace.arrivals])


@pytest.mark.parametrize("variation", [1.0, 8.0])
def test_gaps_have_the_mean_and_the_variation_asked_for(variation: float) -> None:
    arrivals = replace(PLAIN.arrivals, squared_variation=variation)
    drawn = gaps(replace(PLAIN, seconds=200.0, arrivals=arrivals))
    assert drawn.mean() == pytest.approx(1 / 200, rel=0.1)
    assert drawn.var() / drawn.mean() ** 2 == pytest.approx(variation, rel=0.2)


def test_the_same_scenario_is_always_the_same_and_another_seed_another_one() -> None:
    first, again = (draw_trace(PLAIN, rate_hz=50, sensors=SENSORS) for _ in range(2))
    other = draw_trace(replace(PLAIN, seed=1), rate_hz=50, sensors=SENSORS)
    assert first == again
    assert first.arrivals != other.arrivals


def test_a_pace_multiplies_the_rate_of_its_stretch() -> None:
    pace = ((0.0, 1.0), (10.0, 10.0), (15.0, 0.5))
    trace = draw_trace(
        replace(PLAIN, arrivals=replace(PLAIN.arrivals, pace=pace)), rate_hz=100, sensors=SENSORS
    )
    by_stretch = Counter(
        "slow" if a.at_s < 10 else "fast" if a.at_s < 15 else "last" for a in trace.arrivals
    )
    assert by_stretch["slow"] == pytest.approx(1000, rel=0.15)
    assert by_stretch["fast"] == pytest.approx(5000, rel=0.1)
    assert by_stretch["last"] == pytest.approx(250, rel=0.3)


def test_a_pace_moves_arrivals_and_makes_none_up() -> None:
    unit = np.array([1.0, 2.0, 3.0, 4.0, 99.0])
    moved = paced(unit, ((0.0, 1.0), (2.0, 2.0)), 1.0, 3.0)
    assert moved.tolist() == [1.0, 2.0, 2.5]


def test_all_sensors_are_there_unless_the_scenario_says_otherwise() -> None:
    def presences(sensors: str) -> set[int]:
        sheet = replace(PLAIN, requests=RequestSheet(sensors=sensors))
        arrivals = draw_trace(sheet, rate_hz=100, sensors=SENSORS).arrivals
        return {a.presence_bits for a in arrivals}

    assert presences("all") == {7}
    assert len(presences("worn")) > 1
    assert len(presences("dropout")) > 3
    assert 0 not in presences("dropout")


def test_sensors_that_stay_longer_are_there_more_often() -> None:
    def mean(up_s: float) -> float:
        asked = RequestSheet(sensors="dropout", up_s=up_s, down_s=1.0)
        arrivals = draw_trace(replace(PLAIN, requests=asked), rate_hz=100, sensors=SENSORS).arrivals
        return float(np.mean([a.presence_bits.bit_count() for a in arrivals]))

    assert mean(9.0) > mean(0.5) + 0.5


def test_popular_models_are_asked_more_often_and_all_are_known() -> None:
    sheet = replace(PLAIN, models=ModelSheet(count=3, popularity=1.0))
    trace = draw_trace(sheet, rate_hz=200, sensors=SENSORS, models=("a", "b", "c"))
    asked = Counter(a.model for a in trace.arrivals)
    assert asked["a"] == pytest.approx(2 * asked["b"], rel=0.2)
    assert asked["a"] == pytest.approx(3 * asked["c"], rel=0.2)


def test_caps_as_parts_are_of_the_power_that_the_load_draws() -> None:
    steps = (CapStep(at_s=2.0, part=0.5), CapStep(at_s=4.0, watts=9.0), CapStep(at_s=6.0))
    trace = draw_trace(
        replace(PLAIN, cap=steps), rate_hz=10, sensors=SENSORS, idle_w=3.0, free_w=5.0
    )
    assert trace.caps == ((0.0, None), (2.0, 4.0), (4.0, 9.0), (6.0, None))


def test_a_neighbour_that_takes_half_slows_everything_down_by_two() -> None:
    taken = (NeighbourSheet(from_s=1.0, to_s=2.0, share=0.5),)
    trace = draw_trace(replace(PLAIN, neighbour=taken), rate_hz=10, sensors=SENSORS)
    assert trace.slowdowns == ((0.0, 1.0), (1.0, 2.0), (2.0, 1.0))


def test_requests_of_a_file_keep_their_times_sensors_windows_and_models(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("at_s,sensors,windows,model\n1.5,torso leg,,b\n0.5,,4,\n", encoding="utf-8")
    assert read_arrivals(path, SENSORS, ("a", "b")) == (
        Arrival(0.5, 0b111, 4, "a"),
        Arrival(1.5, 0b101, 1, "b"),
    )
    sheet = replace(PLAIN, seconds=None, arrivals=ArrivalSheet(replay=path, speed=2.0))
    trace = draw_trace(sheet, rate_hz=None, sensors=SENSORS, models=("a", "b"))
    assert [a.at_s for a in trace.arrivals] == [0.25, 0.75]
    assert trace.duration_s == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("at,sensors\n1,\n", r"unknown key 'at' in the header"),
        ("sensors\ntorso\n", r"needs a column at_s"),
        ("at_s,sensors\n1,\n2,head\n", r"unknown key 'head' in day.csv line 3"),
        ("at_s\nsoon\n", r"line 2: could not convert"),
        ("at_s\n-1\n", r"at_s must be 0 or above"),
        ("at_s,model\n1,b\n", r"'b' in day.csv line 2"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=named):
        read_arrivals(path, SENSORS)


def test_a_scenario_without_a_single_request_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no request in 0\.001 s"):
        draw_trace(replace(PLAIN, seconds=0.001), rate_hz=0.1, sensors=SENSORS)


def test_the_morning_that_comes_along_fits_the_shipped_model() -> None:
    sheet = read_sheet(find_sheet("replay"))
    shipped_sensors = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
    trace = draw_trace(sheet, rate_hz=None, sensors=shipped_sensors)
    assert len(trace.arrivals) > 500
    assert {a.windows for a in trace.arrivals} == {1, 4}
    assert len({a.presence_bits for a in trace.arrivals}) > 5
