from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from sentryfuse.energy import (
    CpuTimeMeter,
    EnergyZone,
    FailoverMeter,
    Fault,
    NullMeter,
    SensorMeter,
)
from sentryfuse.errors import MeterError
from tests.unit.energy.clock import Clock
from tests.unit.energy.sensors import ScriptedMeter, Value, counter_meter


def chain(clock: Clock, *sensors: ScriptedMeter) -> FailoverMeter:
    openers: list[Callable[[], SensorMeter]] = [lambda s=s: s for s in sensors]
    model = CpuTimeMeter(5.0, 3.0, covers="node", clock=clock, cpu_clock=Clock())
    return FailoverMeter(openers, lambda: model, clock=clock, patience_s=2.0)


def let_trouble_last(clock: Clock, meter: FailoverMeter, seconds: float = 2.0) -> None:
    meter.joules()
    clock.now_s += seconds
    meter.joules()


def test_a_meter_that_is_well_is_kept() -> None:
    clock, best = Clock(), ScriptedMeter("rapl")
    meter = chain(clock, best)
    for _ in range(10):
        clock.now_s += 1.0
        best.total_j += 7.0
        meter.joules()

    assert (meter.source, meter.joules(), meter.failovers) == ("rapl", 70.0, 0)


@pytest.mark.parametrize("fault", ["vanished", "frozen", "absurd", "reset"])
def test_a_meter_that_fails_is_followed_by_the_next_from_the_same_sum(fault: Fault) -> None:
    clock, best, next_best = Clock(), ScriptedMeter("rapl"), ScriptedMeter("hwmon")
    meter = chain(clock, best, next_best)
    best.total_j, best.trouble = 70.0, fault
    let_trouble_last(clock, meter)
    next_best.total_j = 5.0

    assert (meter.source, meter.joules(), meter.failovers) == ("hwmon", 75.0, 1)


def test_trouble_that_passes_in_time_is_forgiven() -> None:
    clock, best = Clock(), ScriptedMeter("rapl")
    meter = chain(clock, best)
    for _ in range(5):
        best.trouble = "vanished"
        let_trouble_last(clock, meter, 1.9)
        best.trouble = None
        meter.joules()

    assert meter.source == "rapl"


def test_a_process_that_slept_does_not_blame_the_meter_on_waking_up() -> None:
    clock, best = Clock(), ScriptedMeter("rapl")
    meter = chain(clock, best)
    clock.now_s += 3600.0
    best.trouble = "vanished"  # its thread did not run either
    meter.joules()
    clock.now_s += 0.1
    best.trouble = None
    meter.joules()

    assert meter.source == "rapl"


def test_in_the_end_there_is_the_model_and_every_step_is_counted() -> None:
    clock, one, two = Clock(), ScriptedMeter("rapl"), ScriptedMeter("battery")
    one.faults, two.faults = {"frozen": 1}, {"frozen": 1, "vanished": 2}
    meter = chain(clock, one, two)
    for sensor in (one, two):
        sensor.trouble = "frozen"
        let_trouble_last(clock, meter)
    before_j = meter.joules()
    clock.now_s += 10.0

    assert (meter.source, meter.quality, meter.covers) == ("cpu-time", "modelled", "node")
    assert (meter.failovers, meter.idle_power_w) == (2, 3.0)
    assert meter.faults == {"frozen": 2, "vanished": 2}
    assert meter.joules() == pytest.approx(before_j + 30.0)


def test_a_meter_that_cannot_be_opened_is_passed_over() -> None:
    def refuse() -> SensorMeter:
        raise MeterError("permission denied")

    meter = FailoverMeter([refuse, lambda: ScriptedMeter("hwmon")], NullMeter)
    assert (meter.source, meter.failovers) == ("hwmon", 0)
    assert FailoverMeter([refuse], NullMeter).source == "null"


def test_the_failed_meter_is_closed_without_making_a_request_wait() -> None:
    clock, best = Clock(), ScriptedMeter("rapl")
    meter = chain(clock, best)
    best.trouble = "vanished"
    let_trouble_last(clock, meter)

    assert best.closed.wait(5)


def test_a_step_is_logged_once_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    clock, best = Clock(), ScriptedMeter("rapl")
    meter = chain(clock, best)
    best.trouble = "frozen"
    with caplog.at_level(logging.WARNING):
        let_trouble_last(clock, meter)
        let_trouble_last(clock, meter)

    assert [r.getMessage() for r in caplog.records] == [
        "energy meter rapl is frozen: going on with cpu-time"
    ]


@pytest.mark.parametrize(
    ("readings", "fault"),
    [
        ([None] * 6, "vanished"),
        ([1e9, 2e9, 3e9, 4e9, 5e9, 6e9], "absurd"),
        ([float("nan")] * 6, "absurd"),
        ([500.0] * 8, "frozen"),
    ],
)
def test_a_counter_that_vanishes_lies_or_freezes_is_left_for_the_model(
    readings: list[float | None], fault: Fault
) -> None:
    clock, raw = Clock(), Value(100.0)
    zone = EnergyZone(name="package-0", read_j=raw, frozen_after_s=4.0)
    meter = FailoverMeter(
        [lambda: counter_meter(clock, [zone])],
        lambda: CpuTimeMeter(5.0, 3.0, clock=clock, cpu_clock=Clock()),
        clock=clock,
    )
    heard = []
    for value in [110.0, *readings]:
        clock.now_s += 1.0
        raw.value = value
        heard.append(meter.joules())

    assert (meter.source, meter.failovers) == ("cpu-time", 1)
    assert meter.faults[fault] >= 1
    assert heard == sorted(heard)
    assert heard[0] == 10.0
