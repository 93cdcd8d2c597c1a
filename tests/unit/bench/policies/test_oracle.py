from __future__ import annotations

from dataclasses import replace

import pytest

from sentryfuse.bench.policies.node import Node, Rung
from sentryfuse.bench.policies.oracle import best_effective_accuracy
from sentryfuse.bench.policies.rivals import contender, policy_names
from sentryfuse.bench.policies.score import score
from sentryfuse.bench.policies.traces import Arrival, Trace, make_trace
from sentryfuse.bench.policies.world import simulate


def crowd(count: int, deadline_s: float = 0.02) -> Trace:
    """So many requests at one moment, the beginning of a slot."""
    arrivals = tuple(Arrival(0.1, 3) for _ in range(count))
    return Trace(name="poisson", seed=0, duration_s=1.0, deadline_s=deadline_s, arrivals=arrivals)


def test_with_time_enough_everybody_gets_the_best_variant(node: Node) -> None:
    assert best_effective_accuracy(node, crowd(5)) == pytest.approx(0.9)


def test_under_load_core_time_goes_where_it_helps_most(node: Node) -> None:
    # 2 cores x 5 slots of 5 ms = 50 ms; the smallest variant takes 0.5 ms at its best, so 20
    # requests leave 40 ms for steps of 3.5 ms that are worth 0.1.
    steps = (0.05 - 20 * 0.0005) / 0.0035
    assert best_effective_accuracy(node, crowd(20)) == pytest.approx(0.8 + 0.1 * steps / 20)


def test_when_not_even_the_smallest_variant_suffices_the_rest_counts_nothing(node: Node) -> None:
    assert best_effective_accuracy(node, crowd(200)) == pytest.approx(0.8 * 100 / 200)


def test_a_neighbour_takes_capacity_away(node: Node) -> None:
    slowed = replace(crowd(200), slowdowns=((0.0, 2.0),))
    assert best_effective_accuracy(node, slowed) == pytest.approx(0.8 * 50 / 200)


def test_a_cap_takes_capacity_away(node: Node) -> None:
    # 3 W idle and 0.05 J in the second pay for 10 ms of a core at 5 W.
    capped = replace(crowd(200), caps=((0.0, 3.05),))
    assert best_effective_accuracy(node, capped) == pytest.approx(0.8 * 20 / 200)


def test_a_variant_that_no_mixture_needs_changes_nothing(node: Node) -> None:
    useless = Rung(500, 30_000_000, 0.81)
    wider = replace(node, ladders={b: (*rungs, useless) for b, rungs in node.ladders.items()})
    trace = crowd(20)
    assert best_effective_accuracy(wider, trace) == best_effective_accuracy(node, trace)


def test_an_answer_that_takes_longer_than_the_deadline_is_no_answer(node: Node) -> None:
    assert best_effective_accuracy(node, crowd(1, deadline_s=0.002)) == pytest.approx(0.8)
    assert best_effective_accuracy(node, crowd(1, deadline_s=0.0004)) == 0.0


@pytest.mark.parametrize("name", ["bursts-8", "solar", "neighbour", "dropout"])
def test_no_policy_beats_the_oracle(node: Node, name: str) -> None:
    trace = make_trace(
        name, rate_hz=1500.0, duration_s=0.3, deadline_s=0.02, seed=3, num_modalities=2
    )
    bound = best_effective_accuracy(node, trace)
    for policy in policy_names(node.permilles):
        chosen = contender(policy)
        run = simulate(node, trace, chosen.policy, estimator=chosen.estimator)
        assert score(run).effective_accuracy <= bound
