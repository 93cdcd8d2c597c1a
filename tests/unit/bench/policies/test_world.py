from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from app.scheduling.fair_slack import FairSlack
from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.rivals import Fixed, MaxAcc
from sentryfuse.bench.policies.score import score
from sentryfuse.bench.policies.traces import Arrival, Trace, make_trace
from sentryfuse.bench.policies.world import Fate, Seconds, simulate


def trace_of(*arrivals: Arrival, deadline_s: float = 0.02) -> Trace:
    return Trace(
        name="poisson", seed=0, duration_s=1.0, deadline_s=deadline_s, arrivals=tuple(arrivals)
    )


def load(name: str, rate_hz: float, *, seed: int = 0, duration_s: float = 2.0) -> Trace:
    return make_trace(
        name,
        rate_hz=rate_hz,
        duration_s=duration_s,
        deadline_s=0.02,
        seed=seed,
        num_modalities=2,
    )


def test_a_lone_request_takes_what_the_profile_says(node: Node) -> None:
    run = simulate(node, trace_of(Arrival(0.1, 3)), Fixed(0))
    assert run.fates == [Fate.IN_TIME]
    assert run.accuracy == [0.9]
    assert run.latency_s == [pytest.approx(0.004)]
    assert run.energy_j == pytest.approx(0.004 * 5.0)


def test_a_request_waits_for_a_core(node: Node) -> None:
    run = simulate(node, trace_of(*[Arrival(0.1, bits) for bits in (1, 2, 3)]), Fixed(0))
    assert sorted(run.latency_s) == [pytest.approx(t) for t in (0.004, 0.004, 0.008)]


def test_a_neighbour_stretches_an_inference_but_costs_no_energy(node: Node) -> None:
    trace = trace_of(Arrival(0.1, 3))
    slowed = replace(trace, slowdowns=((0.0, 1.0), (0.102, 2.0), (0.103, 1.0)))
    run = simulate(node, slowed, Fixed(0))
    # 2 ms at full speed, 1 ms at half, 1.5 ms for what is left
    assert run.latency_s == [pytest.approx(0.0045)]
    assert run.energy_j == pytest.approx(0.004 * 5.0)


def test_what_cannot_be_in_time_costs_nothing(node: Node) -> None:
    arrivals = [Arrival(0.1 + 0.01 * i, 3) for i in range(5)]
    for policy in (FairSlack(), MaxAcc()):
        run = simulate(node, trace_of(*arrivals, deadline_s=0.0005), policy)
        assert set(run.fates) <= {Fate.DROPPED, Fate.REFUSED}
        assert run.energy_j == 0.0
        assert all(math.isnan(latency_s) for latency_s in run.latency_s)


@pytest.mark.parametrize("name", ["bursts-8", "solar", "neighbour", "profile-fast"])
def test_every_request_has_one_fate_and_every_joule_its_second(node: Node, name: str) -> None:
    trace = load(name, 1500.0, duration_s=0.5)
    run = simulate(node, trace, FairSlack())
    answered = sum(d.requests for d in run.dispatches)
    fates = Counter(run.fates)
    assert len(run.fates) == len(trace.arrivals)
    assert fates[Fate.IN_TIME] + fates[Fate.LATE] == answered
    assert sum(run.second_energy_j) == pytest.approx(run.energy_j)


def test_a_run_can_be_repeated_exactly(node: Node) -> None:
    noisy = replace(node, scatter=0.1)
    first, second = (
        simulate(noisy, load("bursts-8", 1200.0, duration_s=0.5), FairSlack()) for _ in range(2)
    )
    assert first.dispatches == second.dispatches
    assert first.fates == second.fates


def test_scatter_scatters(node: Node) -> None:
    noisy = replace(node, scatter=0.1)
    trace = trace_of(*[Arrival(0.05 * i, 3) for i in range(1, 20)])
    latency_s = simulate(noisy, trace, Fixed(0)).latency_s
    assert 0.003 < min(latency_s) < 0.0039
    assert 0.0041 < max(latency_s) < 0.0055


def test_a_power_cap_is_kept_under_more_load_than_it_allows(node: Node) -> None:
    trace = replace(load("poisson", 400.0, duration_s=6.0), caps=((0.0, 6.0), (3.0, 4.5)))
    free = simulate(node, replace(trace, caps=((0.0, None),)), FairSlack())
    capped = simulate(node, trace, FairSlack())
    assert min(free.second_energy_j[:6]) > 1.05 * 6.0 - 3.0
    # The first second after a step may hold what was admitted before it.
    assert max(capped.second_energy_j[:3]) <= 1.05 * 6.0 - 3.0
    assert max(capped.second_energy_j[4:6]) <= 1.05 * 4.5 - 3.0
    assert score(capped).cap_seconds == 6


def test_a_fixed_variant_stays_itself_under_a_cap(node: Node) -> None:
    trace = replace(load("poisson", 400.0), caps=((0.0, 5.0),))
    run = simulate(node, trace, Fixed(0))
    assert {d.permille for d in run.dispatches} == {0}
    assert {d.permille for d in simulate(node, trace, FairSlack()).dispatches} == {0, 800}


def test_a_wrong_profile_is_believed_at_first_and_then_no_more(node: Node) -> None:
    trace = replace(load("poisson", 300.0), profile_error=4.0)
    permilles = [d.permille for d in simulate(node, trace, FairSlack()).dispatches]
    right = [d.permille for d in simulate(node, load("poisson", 300.0), FairSlack()).dispatches]
    assert permilles[:2].count(800) > right[:2].count(800)
    assert permilles[100:].count(0) == pytest.approx(right[100:].count(0), rel=0.1)


def test_joules_are_spread_over_the_time_of_an_inference() -> None:
    seconds = Seconds(2.0)
    seconds.burn(0.9, 1.4, 5.0)
    seconds.burn(1.6, 1.7, 1.0)
    assert seconds.energy_j[:2] == [pytest.approx(1.0), pytest.approx(5.0)]
    assert seconds.between(1.0, 1.25) == pytest.approx(2.5)
    assert seconds.total_j == pytest.approx(6.0)
