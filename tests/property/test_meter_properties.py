"""Whatever hardware does, sums only grow, and what can be kept is kept."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from sentryfuse.energy import (
    CpuTimeMeter,
    EnergyZone,
    FailoverMeter,
    MonotoneCounter,
    PowerIntegrator,
    SensorMeter,
)
from tests.unit.energy.clock import Clock
from tests.unit.energy.sensors import Value, counter_meter, polled_meter

MAX_POWER_W = 50.0
raw = st.none() | st.floats() | st.floats(0, 1000) | st.integers(0, 5).map(float)
steps = st.lists(st.tuples(st.floats(0, 10), raw), max_size=60)


@settings(max_examples=60, deadline=None)
@given(steps=steps, range_j=st.none() | st.floats(1, 2000))
def test_a_counter_that_wraps_resets_lies_freezes_and_vanishes_never_falls_nor_outruns(
    steps: list[tuple[float, float | None]], range_j: float | None
) -> None:
    counter = MonotoneCounter(range_j=range_j, max_power_w=MAX_POWER_W, frozen_after_s=1.0)
    now_s, total_j = 0.0, 0.0
    for step_s, value in steps:
        now_s += step_s
        assert counter.update(value, now_s) >= total_j
        total_j = counter.total_j
    assert total_j <= MAX_POWER_W * now_s * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(
    gains=st.lists(
        st.tuples(st.floats(0, 60), st.floats(0, 30), st.booleans()), min_size=1, max_size=60
    ),
    ranges=st.tuples(st.floats(200, 1000), st.floats(100, 500)),
)
def test_zones_that_wrap_at_ranges_of_their_own_lose_nothing_even_where_readings_fail(
    gains: list[tuple[float, float, bool]], ranges: tuple[float, float]
) -> None:
    clock, one, two = Clock(0.0), Value(0.0), Value(0.0)
    zones = [
        EnergyZone(name=name, read_j=value, range_j=range_j, max_power_w=100.0)
        for name, value, range_j in zip("ab", (one, two), ranges, strict=True)
    ]
    meter = counter_meter(clock, zones)
    true_one = true_two = 0.0
    for gain_one, gain_two, fails in [*gains, (0.0, 0.0, False)]:
        clock.now_s += 1.0
        true_one, true_two = true_one + gain_one, true_two + gain_two
        # Two failures in a row could hide a wrap of the smaller range.
        hidden = fails and one.value is not None
        one.value = None if hidden else true_one % ranges[0]
        two.value = None if hidden else true_two % ranges[1]
        meter.joules()
    assert abs(meter.joules() - (true_one + true_two)) <= 1e-6


@settings(max_examples=60, deadline=None)
@given(steps=steps, looks=st.lists(st.floats(0, 10), max_size=5))
def test_integrated_power_never_falls_nor_outruns_the_power_limit(
    steps: list[tuple[float, float | None]], looks: list[float]
) -> None:
    integrator = PowerIntegrator(
        started_s=0.0, max_gap_s=3.0, max_power_w=MAX_POWER_W, frozen_after_s=5.0
    )
    now_s, said_j = 0.0, 0.0
    for step_s, power_w in steps:
        now_s += step_s
        integrator.update(power_w, now_s)
        for look_s in [0.0, *looks]:
            now_s += look_s
            assert integrator.total_at(now_s) >= said_j
            said_j = integrator.total_at(now_s)
    assert said_j <= MAX_POWER_W * now_s * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.lists(
        st.tuples(st.floats(0.01, 3.0), st.floats(0.1, 40.0)), min_size=1, max_size=40
    ),
    power_w=st.floats(0.1, 40.0),
)
def test_no_sum_exceeds_the_highest_power_nor_falls_short_of_the_lowest(
    samples: list[tuple[float, float]], power_w: float
) -> None:
    integrator = PowerIntegrator(started_s=0.0, max_gap_s=3.0, max_power_w=MAX_POWER_W)
    integrator.update(power_w, 0.0)
    now_s = 0.0
    for step_s, value_w in samples:
        now_s += step_s
        integrator.update(value_w, now_s)
    powers_w = [power_w, *(value_w for _, value_w in samples)]
    assert min(powers_w) * now_s * (1 - 1e-9) <= integrator.total_j
    assert integrator.total_j <= max(powers_w) * now_s * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(st.tuples(st.floats(0.001, 3.0), raw, raw, st.floats(0, 1)), max_size=60),
    range_j=st.none() | st.floats(1, 2000),
)
def test_a_chain_of_failing_meters_still_only_grows(
    script: list[tuple[float, float | None, float | None, float]], range_j: float | None
) -> None:
    clock, cpu, counted, polled = Clock(0.0), Clock(0.0), Value(0.0), Value(1.0)
    zone = EnergyZone(
        name="package-0",
        read_j=counted,
        range_j=range_j,
        max_power_w=MAX_POWER_W,
        frozen_after_s=4.0,
    )
    second = polled_meter(clock, polled)
    openers: list[Callable[[], SensorMeter]] = [
        lambda: counter_meter(clock, [zone]),
        lambda: second,
    ]
    meter = FailoverMeter(
        openers, lambda: CpuTimeMeter(5.0, 3.0, clock=clock, cpu_clock=cpu), clock=clock
    )
    said_j, steps_down = 0.0, 0
    for step_s, counted.value, polled.value, cpu_share in script:
        clock.now_s += step_s
        cpu.now_s += cpu_share * step_s
        if meter.source == "jetson":
            second.sample()  # what its thread would do
        heard_j = meter.joules()
        assert heard_j >= said_j
        assert meter.failovers >= steps_down
        said_j, steps_down = heard_j, meter.failovers
    assert steps_down <= 2
