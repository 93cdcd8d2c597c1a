from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sentryfuse.energy import (
    CpuTimeMeter,
    Meter,
    NullMeter,
    ReplayMeter,
    Sample,
    open_meter,
    read_recording,
)
from sentryfuse.errors import ConfigError, MeterError
from tests.unit.energy.clock import Clock

RECORDING = [Sample(50.0, 300.0), Sample(51.0, 310.0), Sample(52.0, 330.0)]
METERS_ON_A_CLOCK: dict[str, Callable[[Clock], Meter]] = {
    "cpu-time": lambda clock: CpuTimeMeter(4.0, 2.0, clock=clock, cpu_clock=clock),
    "null": lambda clock: NullMeter(),
    "replay": lambda clock: ReplayMeter(RECORDING, clock=clock),
}


@pytest.mark.parametrize("name", METERS_ON_A_CLOCK)
def test_every_meter_starts_at_zero_and_never_falls(name: str) -> None:
    clock = Clock()
    meter = METERS_ON_A_CLOCK[name](clock)
    readings = [meter.joules()]
    for _ in range(40):
        clock.now_s += 0.1
        readings.append(meter.joules())

    assert readings[0] == 0.0
    assert readings == sorted(readings)


@pytest.mark.parametrize("name", METERS_ON_A_CLOCK)
def test_every_meter_says_what_it_is(name: str) -> None:
    meter = METERS_ON_A_CLOCK[name](Clock())

    assert meter.source == name
    assert meter.quality in ("measured", "modelled")
    assert meter.idle_power_w >= 0
    assert meter.faults == {}


def test_modelled_energy_is_idle_power_over_time_plus_watts_per_busy_core() -> None:
    clock, cpu_clock = Clock(), Clock(3.0)
    meter = CpuTimeMeter(4.0, 2.0, clock=clock, cpu_clock=cpu_clock)
    clock.now_s += 10.0
    cpu_clock.now_s += 1.5

    assert meter.joules() == pytest.approx(10 * 2.0 + 1.5 * 4.0)
    assert meter.quality == "modelled"


def test_the_real_clocks_see_work_being_done() -> None:
    meter = CpuTimeMeter(1000.0, 0.0)
    before = meter.joules()
    sum(range(200_000))

    assert meter.joules() > before


@pytest.mark.parametrize("watts", [-1.0, float("nan"), float("inf")])
def test_a_power_that_makes_no_sense_is_refused(watts: float) -> None:
    with pytest.raises(ConfigError, match="watts_per_core"):
        CpuTimeMeter(watts, 1.0)
    with pytest.raises(ConfigError, match="idle_power_w"):
        CpuTimeMeter(1.0, watts)


def test_a_recording_plays_in_step_with_the_clock_and_its_end_stands() -> None:
    clock = Clock()
    meter = ReplayMeter(RECORDING, clock=clock)
    heard = []
    for seconds in (0.5, 0.5, 0.5, 0.5, 100.0):
        clock.now_s += seconds
        heard.append(meter.joules())

    assert heard == [0.0, 10.0, 10.0, 30.0, 30.0]


def test_a_recorded_wrap_between_two_readings_is_not_missed() -> None:
    clock = Clock()
    samples = [Sample(0, 980.0), Sample(1, 995.0), Sample(2, 5.0), Sample(3, 20.0)]
    meter = ReplayMeter(samples, range_j=1000.0, max_power_w=100.0, clock=clock)
    clock.now_s += 3.0

    assert meter.joules() == pytest.approx(40.0)
    assert meter.faults == {"wrap": 1}


def test_a_recording_that_has_ended_freezes() -> None:
    clock = Clock()
    meter = ReplayMeter(RECORDING, frozen_after_s=5.0, clock=clock)
    clock.now_s += 60.0
    meter.joules()

    assert meter.faults == {"frozen": 1}


@pytest.mark.parametrize("samples", [[], RECORDING[::-1], [RECORDING[0]] * 2])
def test_a_recording_without_order_is_refused(samples: list[Sample]) -> None:
    with pytest.raises(ConfigError, match="recording"):
        ReplayMeter(samples)


def test_a_recording_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "energy.csv"
    path.write_text("time_s,joules\n50,300\n51,310.0\n\n52,nan\n")

    first, second, third = read_recording(path)

    assert (first, second) == (Sample(50.0, 300.0), Sample(51.0, 310.0))
    assert third.joules != third.joules


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must begin with the line 'time_s,joules'"),
        (b"seconds,J\n1,2\n", "must begin with"),
        (b"time_s,joules\n1,2\nthree,4\n", "line 3: expected two numbers"),
        (b"time_s,joules\n1,2,3\n", "line 2: expected two numbers"),
        (b"time_s,joules\nnan,2\n", "line 2: time_s must be finite"),
        (b"\xff\xfe\x00", "can't read the recording"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "energy.csv"
    path.write_bytes(content)

    with pytest.raises(MeterError, match=complaint):
        read_recording(path)


def test_a_recording_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"nowhere\.csv"):
        read_recording(tmp_path / "nowhere.csv")


def test_an_unknown_meter_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"one of \['auto', 'jetson'.*got 'rapl2'"):
        open_meter("rapl2")


def test_replay_without_a_recording_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a recording"):
        open_meter("replay")
