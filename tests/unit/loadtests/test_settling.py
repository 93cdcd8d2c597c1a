"""Settling time, error and excess of a node under a stepped cap."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loadtests.settling import mean_power_w, phases
from loadtests.watch import PowerSample


def readings(power_w: Callable[[float], float], end_s: float) -> list[PowerSample]:
    """A counter read four times a second, of a node that draws this power."""
    samples, energy_j = [], 0.0
    for i in range(int(4 * end_s) + 1):
        samples.append(PowerSample(i / 4, energy_j, None))
        energy_j += power_w(i / 4) / 4
    return samples


def test_mean_power_is_the_slope_of_the_counter_between_its_samples() -> None:
    samples = readings(lambda t: 4.0 if t < 2 else 8.0, 4)
    assert mean_power_w(samples, 1.1, 1.9) == pytest.approx(4.0)
    assert mean_power_w(samples, 1.0, 3.0) == pytest.approx(6.0)


def test_a_node_that_follows_at_once_settles_at_once() -> None:
    samples = readings(lambda t: 9.0 if t < 10 else 5.9, 30)
    (phase,) = phases(samples, [(0.0, None), (10.0, 6.0)], 30.0)
    assert (phase.settle_s, phase.before_w) == (0.0, pytest.approx(9.0))
    assert phase.mean_w == pytest.approx(5.9)
    assert len(phase.settled) == 20


def test_settling_down_ends_with_the_last_second_above_the_band() -> None:
    samples = readings(lambda t: 9.0 if t < 14 else 6.0, 30)
    (phase,) = phases(samples, [(0.0, None), (10.0, 6.0)], 30.0)
    # A second that begins at 13.75 s still has a quarter of 9 W: 6.75 W in the mean.
    assert phase.settle_s == 4.0
    assert phase.mean_w == pytest.approx(6.0)


def test_settling_up_ends_when_the_allowed_power_is_used() -> None:
    samples = readings(lambda t: 5.0 if t < 12 else 8.0, 30)
    _, up = phases(samples, [(0.0, 5.0), (10.0, 8.0)], 30.0)
    assert up.settle_s == pytest.approx(2.0)


def test_a_load_that_needs_less_than_the_cap_is_settled() -> None:
    samples = readings(lambda t: 5.0, 30)
    _, up = phases(samples, [(0.0, 5.0), (10.0, 8.0)], 30.0)
    assert up.settle_s == 0.0


def test_a_node_that_never_keeps_its_cap_never_settles_and_all_of_it_counts() -> None:
    samples = readings(lambda t: 9.0, 30)
    (phase,) = phases(samples, [(0.0, None), (10.0, 6.0)], 30.0)
    assert phase.settle_s is None
    assert phase.settled == phase.seconds
    assert phase.mean_w == pytest.approx(9.0)


def test_stretches_without_a_cap_and_very_short_ones_are_no_phases() -> None:
    samples = readings(lambda t: 5.0, 30)
    assert phases(samples, [(0.0, None), (10.0, 6.0), (12.0, None)], 30.0) == ()
