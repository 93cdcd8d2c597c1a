from __future__ import annotations

import math

import numpy as np
import pytest

from sentryfuse.bench.policies.traces import TRACES, Trace, make_trace
from sentryfuse.errors import ConfigError


def draw(name: str, *, seed: int = 0, rate_hz: float = 1000.0) -> Trace:
    return make_trace(
        name, rate_hz=rate_hz, duration_s=20.0, deadline_s=0.02, seed=seed, num_modalities=5
    )


def counts(trace: Trace, bin_s: float) -> np.ndarray:
    edges = np.arange(0.0, trace.duration_s + bin_s / 2, bin_s)
    return np.histogram([a.at_s for a in trace.arrivals], edges)[0]


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_is_drawn_from_its_seed_alone(name: str) -> None:
    assert draw(name) == draw(name)
    assert draw(name).arrivals != draw(name, seed=1).arrivals


@pytest.mark.parametrize("name", TRACES)
def test_arrivals_are_in_order_within_the_trace_and_have_a_sensor(name: str) -> None:
    trace = draw(name)
    times = [a.at_s for a in trace.arrivals]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < trace.duration_s
    assert all(1 <= a.presence_bits < 32 for a in trace.arrivals)


@pytest.mark.parametrize("name", TRACES)
def test_the_mean_rate_is_what_was_asked(name: str) -> None:
    counted = np.mean([len(draw(name, seed=seed).arrivals) for seed in range(5)])
    assert counted == pytest.approx(20_000, rel=0.05)


def test_bursts_vary_as_much_as_their_name_says() -> None:
    index = {
        name: counts(draw(name), 0.1).var() / counts(draw(name), 0.1).mean()
        for name in ("poisson", "bursts-2", "bursts-8")
    }
    # Three quarters of the requests are bursty, so dispersion is 3/4 of the squared variation.
    assert index["poisson"] == pytest.approx(1.0, rel=0.4)
    assert index["bursts-2"] == pytest.approx(1.5, rel=0.4)
    assert index["bursts-8"] == pytest.approx(6.0, rel=0.4)


def test_acceleration_ends_three_times_as_fast_as_it_began() -> None:
    per_second = counts(draw("acceleration"), 1.0)
    assert per_second[12:].mean() / per_second[:8].mean() == pytest.approx(3.0, rel=0.15)


def test_sensors_drop_out_and_come_back() -> None:
    by_half = [
        {a.presence_bits for a in draw("dropout").arrivals if (a.at_s < 10) == first}
        for first in (True, False)
    ]
    assert all(len(presences) > 8 for presences in by_half)
    assert {a.presence_bits.bit_count() for a in draw("dropout").arrivals} == {1, 2, 3, 4, 5}


def test_the_sun_is_stronger_at_noon_than_at_night() -> None:
    trace = make_trace(
        "solar",
        rate_hz=10.0,
        duration_s=24.0,
        deadline_s=0.02,
        seed=0,
        num_modalities=5,
        idle_power_w=3.0,
        active_power_w=10.0,
    )
    caps = [cap_w for _, cap_w in trace.caps if cap_w is not None]
    assert len(caps) == 96
    assert min(caps) == caps[0] == caps[-1]
    assert caps[0] > 3.0
    assert max(caps) == max(caps[36:60]) > caps[0]


def test_a_neighbour_steals_in_stretches() -> None:
    factors = [factor for _, factor in draw("neighbour").slowdowns]
    assert factors[::2] == [1.0] * len(factors[::2])
    assert all(1.5 <= factor <= 2.5 for factor in factors[1::2])
    assert len(factors) > 2


def test_a_wrong_profile_is_told_with_the_trace() -> None:
    errors = [draw(name).profile_error for name in ("profile-slow", "profile-fast", "poisson")]
    assert errors == [1.5, 0.5, 1.0]


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_makes_no_sense_is_refused(rate_hz: float) -> None:
    with pytest.raises(ConfigError, match="rate_hz must be positive"):
        draw("poisson", rate_hz=rate_hz)


def test_an_unknown_trace_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"poisson, bursts-2.*got 'storm'"):
        draw("storm")
