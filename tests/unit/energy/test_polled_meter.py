from __future__ import annotations

import threading
import time

import pytest

from sentryfuse.energy import IdlePower, PolledMeter, PowerIntegrator
from tests.unit.energy.clock import Clock
from tests.unit.energy.sensors import Value, polled_meter


def test_asking_for_joules_never_touches_the_sensor() -> None:
    clock, sensor = Clock(), Value(8.0)
    meter = polled_meter(clock, sensor)
    meter.sample()
    for _ in range(10):
        clock.now_s += 0.1
        meter.joules()

    assert sensor.reads == 1
    assert meter.joules() == pytest.approx(8.0)


def test_a_read_that_hangs_holds_nobody_up_and_is_trouble_in_the_end() -> None:
    asked, release = threading.Event(), threading.Event()

    def hang() -> float:
        asked.set()
        release.wait(30)
        return 5.0

    clock = Clock()
    meter = polled_meter(clock, hang)
    meter.start()
    assert asked.wait(5)
    began_s = time.perf_counter()
    assert meter.joules() == 0.0
    assert meter.trouble is None
    clock.now_s += 5.1
    assert meter.trouble == "vanished"
    assert time.perf_counter() - began_s < 1.0
    release.set()
    meter.close()


def test_the_real_thread_samples_and_ends_with_the_meter() -> None:
    enough, reads = threading.Event(), []

    def read_w() -> float:
        reads.append(time.perf_counter())
        if len(reads) == 5:
            enough.set()
        return 4.0

    meter = PolledMeter(
        "jetson",
        read_w,
        integrator=PowerIntegrator(started_s=time.perf_counter(), max_gap_s=1.0),
        idle=IdlePower(None),
        clock=time.perf_counter,
        period_s=0.002,
    )
    meter.start()
    assert enough.wait(5)
    meter.close()
    final_j, elapsed_s = meter.joules(), time.perf_counter() - reads[0]

    assert 4.0 * (reads[4] - reads[0]) <= final_j <= 4.0 * elapsed_s
    assert not [t for t in threading.enumerate() if t.name == "meter-jetson"]
    time.sleep(0.01)
    assert meter.joules() == final_j


def test_idle_power_is_the_lowest_mean_of_two_seconds() -> None:
    clock, sensor = Clock(), Value(9.0)
    meter = polled_meter(clock, sensor)
    for power_w in [9.0] * 25 + [6.0] * 45 + [12.0] * 30:
        sensor.value = power_w
        meter.sample()
        clock.now_s += 0.1

    assert meter.idle_power_w == pytest.approx(6.0)


def test_faults_of_the_sensor_are_told() -> None:
    clock, sensor = Clock(), Value(9.0)
    meter = polled_meter(clock, sensor)
    for value in (9.0, None, float("nan"), 9.0):
        sensor.value = value
        meter.sample()
        clock.now_s += 0.1

    assert meter.faults == {"vanished": 1, "absurd": 1}
    assert meter.trouble is None
