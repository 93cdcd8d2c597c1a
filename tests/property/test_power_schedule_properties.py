from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.cap_schedule import (
    BatteryRule,
    CapSchedule,
    DayStep,
    DelayStep,
    SolarPoint,
    parse_schedule,
)
from app.scheduling.dwell import FrequencyGovernor

caps = st.floats(0.1, 1e5)
days = st.lists(st.integers(0, 86_399), unique=True, max_size=5).map(sorted)
delays = st.lists(st.floats(0, 1e6), unique=True, max_size=5).map(sorted)


@st.composite
def schedules(draw: st.DrawFn) -> CapSchedule:
    delay_steps = tuple(DelayStep(at, draw(st.none() | caps)) for at in draw(delays))
    return CapSchedule(
        day=tuple(DayStep(float(at), draw(st.none() | caps)) for at in draw(days)),
        delays=delay_steps,
        solar=tuple(SolarPoint(float(at), draw(caps)) for at in draw(days)),
        battery=(BatteryRule(draw(st.floats(1e-6, 1)), draw(caps)),),
        repeat_s=draw(st.none() | st.floats(1.1e6, 2e6)) if delay_steps else None,
        utc_offset_hours=draw(st.floats(-14, 14)),
    )


@given(schedule=schedules())
def test_a_schedule_survives_being_written_and_read(schedule: CapSchedule) -> None:
    assert parse_schedule(json.loads(json.dumps(schedule.to_json()))) == schedule


@given(
    schedule=schedules(),
    utc_s=st.floats(0, 86_400),
    since_s=st.floats(0, 1e7),
    battery=st.none() | st.floats(0, 1),
)
def test_a_cap_never_leaves_the_range_of_what_is_written(
    schedule: CapSchedule, utc_s: float, since_s: float, battery: float | None
) -> None:
    cap_w = schedule.cap_at(utc_s, since_s, battery)
    written = schedule.caps_w()
    assert cap_w is None or written[0] * (1 - 1e-9) <= cap_w <= written[-1] * (1 + 1e-9)


@given(
    chosen=st.lists(
        st.tuples(st.floats(0, 4), st.sampled_from(["low", "medium", "high"])), max_size=80
    ),
    latency_s=st.floats(0, 0.02),
)
def test_the_frequency_never_changes_faster_than_the_dwell_time(
    chosen: list[tuple[float, str]], latency_s: float
) -> None:
    governor = FrequencyGovernor(transition_latency_s=latency_s, now_s=0.0, dwell_s=2.0)
    now_s, changed_s = 0.0, 0.0
    for pause_s, power_class in chosen:
        now_s += pause_s
        if governor.update(power_class, now_s) is not None:  # type: ignore[arg-type]
            assert now_s - changed_s >= max(2.0, 1000 * latency_s)
            assert governor.current == power_class
            changed_s = now_s
