from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.scheduling.cap_schedule import CapSchedule, ScheduleError, parse_schedule

HOUR_S = 3600.0
PAGE = Path(__file__).parents[3] / "docs/power.md"


def steps(*entries: dict[str, Any], **fields: Any) -> CapSchedule:
    return parse_schedule({"steps": list(entries), **fields})


DAY = ({"at": "06:00", "cap_w": 9}, {"at": "22:30", "cap_w": 4})


@pytest.mark.parametrize(
    ("hour", "cap_w"), [(0, 4), (5.99, 4), (6, 9), (22.4, 9), (22.5, 4), (23.99, 4)]
)
def test_a_step_of_the_day_holds_until_the_next_round_the_clock(hour: float, cap_w: float) -> None:
    assert steps(*DAY).cap_at(hour * HOUR_S, 0.0) == cap_w


def test_times_of_day_are_local() -> None:
    local = steps(*DAY, utc_offset_hours=2)

    assert local.cap_at(4 * HOUR_S, 0.0) == 9
    assert local.cap_at(21 * HOUR_S, 0.0) == 4


@pytest.mark.parametrize(("since_s", "cap_w"), [(0, None), (9.9, None), (10, 5), (20, 8), (999, 8)])
def test_a_step_since_the_schedule_was_set_holds_until_the_next(
    since_s: float, cap_w: float | None
) -> None:
    stepped = steps({"after_s": 10, "cap_w": 5}, {"after_s": 20, "cap_w": 8})

    assert stepped.cap_at(0.0, since_s) == cap_w


@pytest.mark.parametrize(("since_s", "cap_w"), [(5, None), (15, 5), (25, 8), (35, 8), (45, 5)])
def test_steps_since_it_was_set_can_repeat(since_s: float, cap_w: float | None) -> None:
    stepped = steps({"after_s": 10, "cap_w": 5}, {"after_s": 20, "cap_w": 8}, repeat_s=30)

    assert stepped.cap_at(0.0, since_s) == cap_w


@pytest.mark.parametrize(("hour", "cap_w"), [(0, 3.5), (6, 3.5), (9, 7.75), (12, 12), (20, 6)])
def test_the_solar_curve_is_straight_between_its_points_and_flat_outside(
    hour: float, cap_w: float
) -> None:
    points = [("06:00", 3.5), ("12:00", 12), ("18:00", 6)]
    solar = parse_schedule({"solar": [{"at": at, "cap_w": cap} for at, cap in points]})

    assert solar.cap_at(hour * HOUR_S, 0.0) == pytest.approx(cap_w)


def test_a_battery_rule_holds_while_the_charge_is_below_and_can_be_read() -> None:
    rule = steps({"battery_below": 0.2, "cap_w": 4})

    assert rule.cap_at(0.0, 0.0, 0.19) == 4
    assert rule.cap_at(0.0, 0.0, 0.2) is None
    assert rule.cap_at(0.0, 0.0, None) is None


def test_of_all_that_apply_the_smallest_wins() -> None:
    mixed = steps(*DAY, {"after_s": 0, "cap_w": 7}, {"battery_below": 0.5, "cap_w": 5})

    assert mixed.cap_at(12 * HOUR_S, 1.0, 0.9) == 7
    assert mixed.cap_at(12 * HOUR_S, 1.0, 0.4) == 5
    assert mixed.cap_at(0.0, 1.0, 0.4) == 4


def test_a_step_may_lift_the_cap() -> None:
    assert steps({"at": "10:00", "cap_w": None}).cap_at(0.0, 0.0) is None


def test_every_cap_that_is_written_can_be_checked() -> None:
    written = steps(*DAY, {"at": "23:00", "cap_w": None}, {"battery_below": 0.5, "cap_w": 9})

    assert written.caps_w() == (4.0, 9.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"schedule must be an object with fields of .*got \[\]"),
        ({}, "at least one of steps and solar"),
        ({"step": []}, "schedule's fields must be of .*'steps'.*got 'step'"),
        ({"steps": {}}, "schedule.steps must be a list"),
        ({"steps": [DAY[0]] * 1001}, "at most 1000 entries, got '1001 entries'"),
        ({"steps": [3]}, r"schedule.steps\[0\] must be an object"),
        ({"steps": [{"cap_w": 3}]}, "exactly one of at, after_s and battery_below"),
        ({"steps": [{"at": "06:00", "after_s": 1, "cap_w": 3}]}, "exactly one of"),
        ({"steps": [{"at": "25:00", "cap_w": 3}]}, r"steps\[0\].at must be a time.*got '25:00'"),
        ({"steps": [{"at": "6:00", "cap_w": 3}]}, "HH:MM"),
        ({"steps": [{"at": 6, "cap_w": 3}]}, "HH:MM"),
        ({"steps": [{"at": "06:00"}]}, r"steps\[0\].cap_w must be a number of watts.*got None"),
        ({"steps": [{"at": "06:00", "cap_w": 0}]}, "cap_w must be a number of watts above 0"),
        ({"steps": [{"at": "06:00", "cap_w": True}]}, "cap_w must be a number"),
        ({"steps": [{"at": "06:00", "cap_w": float("nan")}]}, "cap_w must be a number"),
        ({"steps": [{"at": "06:00", "cap_w": 10**400}]}, "cap_w must be a number"),
        ({"steps": [{"after_s": -1, "cap_w": 3}]}, "after_s must be a number from 0 to 1e9"),
        ({"steps": [{"after_s": 10**400, "cap_w": 3}]}, "after_s must be a number from 0 to 1e9"),
        ({"steps": [{"battery_below": 20, "cap_w": 3}]}, "battery_below must be a number above 0"),
        ({"steps": [{"battery_below": 0.2, "cap_w": None}]}, "cap_w must be a number of watts"),
        ({"steps": [DAY[1], DAY[0]]}, "ascending order of time, got '21600 after 81000'"),
        ({"solar": [{"at": "06:00", "cap_w": 3}] * 2}, "schedule.solar must be in ascending"),
        ({"solar": [{"at": "06:00", "cap_w": None}]}, r"solar\[0\].cap_w must be a number"),
        ({"steps": [DAY[0]], "repeat_s": 5}, "repeat_s must be left out without steps with after"),
        (
            {"steps": [{"after_s": 9, "cap_w": 3}], "repeat_s": 9},
            r"repeat_s must be a number above the last after_s \(9\)",
        ),
        ({"steps": [DAY[0]], "utc_offset_hours": 15}, "utc_offset_hours must be a number from -14"),
    ],
)
def test_what_makes_no_sense_is_named_with_what_was_seen_and_what_is_allowed(
    value: object, message: str
) -> None:
    with pytest.raises(ScheduleError, match=message):
        parse_schedule(value)


def test_every_schedule_in_the_operators_page_is_one() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    bodies = [json.loads(block) for block in blocks]
    schedules = [body.get("schedule", body) for body in bodies if "cap_w" not in body]

    assert len(schedules) == 3
    for schedule in schedules:
        assert parse_schedule(schedule).caps_w()
