from __future__ import annotations

from sentryfuse.energy import CounterMeter, EnergyZone
from tests.unit.energy.clock import Clock
from tests.unit.energy.sensors import Value, counter_meter


def two_zones(clock: Clock) -> tuple[CounterMeter, Value, Value]:
    package, dram = Value(990.0), Value(40.0)
    zones = (
        EnergyZone(name="package-0", read_j=package, range_j=1000.0, frozen_after_s=5.0),
        EnergyZone(name="dram", read_j=dram, range_j=50.0),
    )
    return counter_meter(clock, zones), package, dram


def test_each_zone_wraps_by_itself_and_nothing_is_lost() -> None:
    clock = Clock()
    meter, package, dram = two_zones(clock)
    clock.now_s += 1.0
    package.value, dram.value = 15.0, 5.0  # gains of 25 J and 15 J

    assert meter.joules() == 40.0
    assert meter.faults == {"wrap": 2}
    assert meter.trouble is None


def test_readings_closer_than_ten_milliseconds_are_one() -> None:
    clock = Clock()
    meter, package, _ = two_zones(clock)
    clock.now_s += 0.02
    package.value = 991.0
    for _ in range(9):
        assert meter.joules() == 1.0
        clock.now_s += 0.001

    assert package.reads == 2
    clock.now_s += 0.002
    meter.joules()
    assert package.reads == 3


def test_a_slow_counter_is_left_to_the_thread() -> None:
    clock, slow = Clock(), Value(10.0)
    meter = counter_meter(clock, [EnergyZone(name="gpu0", read_j=slow)], inline=False)
    clock.now_s += 1.0
    slow.value = 30.0
    assert meter.joules() == 0.0
    meter.sample()

    assert meter.joules() == 20.0


def test_one_zone_in_trouble_is_trouble_for_the_sum() -> None:
    clock = Clock()
    meter, package, dram = two_zones(clock)
    dram.value = None
    for _ in range(3):
        clock.now_s += 1.0
        assert package.value is not None
        package.value += 1.0
        meter.joules()

    assert meter.trouble == "vanished"
    assert meter.faults == {"vanished": 1}


def test_a_counter_that_stands_still_is_trouble() -> None:
    clock = Clock()
    meter, _, dram = two_zones(clock)
    clock.now_s += 6.0
    dram.value = 41.0
    meter.joules()

    assert meter.trouble == "frozen"


def test_idle_power_is_learnt_from_what_is_counted() -> None:
    clock = Clock()
    meter, package, _ = two_zones(clock)
    assert meter.idle_power_w == 3.0
    package.value = 10.0
    clock.now_s += 1.0  # this window has a wrap, which does not spoil a sum, but ends the window
    meter.joules()
    for gained_j in (24.0, 16.0, 30.0):
        clock.now_s += 2.0
        package.value += gained_j
        meter.joules()

    assert meter.idle_power_w == 8.0


def test_a_closed_meter_reads_no_more() -> None:
    clock = Clock()
    meter, package, _ = two_zones(clock)
    meter.close()
    clock.now_s += 1.0
    package.value = 995.0

    assert meter.joules() == 0.0
    assert package.reads == 1
