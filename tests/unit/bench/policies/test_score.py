from __future__ import annotations

import math

import pytest

from sentryfuse.bench.policies.score import mean_step, score
from sentryfuse.bench.policies.traces import Arrival, Trace
from sentryfuse.bench.policies.world import Fate, Run

FATES = [Fate.IN_TIME, Fate.IN_TIME, Fate.LATE, Fate.DROPPED, Fate.REFUSED]


def a_run() -> Run:
    trace = Trace(
        name="poisson",
        seed=7,
        duration_s=3.0,
        deadline_s=0.02,
        arrivals=tuple(Arrival(0.1 * i, 1) for i in range(5)),
        caps=((0.0, 10.0), (1.5, 5.0)),
    )
    return Run(
        trace=trace,
        policy="some",
        fates=list(FATES),
        accuracy=[0.9, 0.7, 0.8, 0.0, 0.0],
        latency_s=[0.001, 0.003, 0.03, math.nan, math.nan],
        energy_j=1.0,
        idle_power_w=3.0,
        second_energy_j=[7.5, 5.0, 2.0, 100.0],
    )


def test_accuracy_counts_what_was_in_time() -> None:
    found = score(a_run())
    assert (found.trace, found.policy, found.seed, found.requests) == ("poisson", "some", 7, 5)
    assert found.attainment == pytest.approx(2 / 5)
    assert found.serving_accuracy == pytest.approx(0.8)
    assert found.effective_accuracy == pytest.approx(1.6 / 5)
    assert (found.late_rate, found.drop_rate, found.shed_rate) == (0.2, 0.2, 0.2)
    assert found.request_energy_j == pytest.approx(0.5)
    assert found.latency_p50_s == pytest.approx(0.003)


def test_a_second_breaks_its_cap_beyond_five_per_cent() -> None:
    # 10.5 W under 10 W is just allowed; 8 W under a mean of 7.5 W is not; 5 W under 5 W is;
    # what is burnt after the trace does not count.
    found = score(a_run())
    assert (found.cap_seconds, found.cap_over_seconds) == (3, 1)


def test_a_run_without_answers_has_figures_too() -> None:
    run = a_run()
    run.fates[:] = [Fate.DROPPED] * 5
    run.latency_s[:] = [math.nan] * 5
    found = score(run)
    assert found.effective_accuracy == found.serving_accuracy == found.latency_p99_s == 0.0


def test_the_mean_of_a_step_that_is_missing_is_missing() -> None:
    steps = ((0.0, None), (1.5, 4.0), (2.5, 8.0))
    assert mean_step(steps, 1, 2) is None
    assert mean_step(steps, 2, 3) == pytest.approx(6.0)
