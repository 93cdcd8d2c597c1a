from __future__ import annotations

import pytest

from app.answering.cascade import first_ratios, next_ratios
from app.scheduling import Budget, NodeState
from tests.unit.lineups import ALL, lineup


def after(
    last: int,
    budget: Budget,
    *,
    in_memory: frozenset[int] = ALL,
    spent_s: float = 0.0,
) -> set[int]:
    made = lineup(in_memory)
    state = NodeState(elapsed_s=spent_s)
    return set(next_ratios(made, last, made.options(1), budget, state))


def test_the_smallest_variant_in_memory_is_asked_first() -> None:
    assert first_ratios(lineup(), Budget()) == {900}
    assert first_ratios(lineup({0, 500}), Budget()) == {500}


def test_a_variant_below_the_accuracy_floor_is_not_asked_if_another_keeps_it() -> None:
    assert first_ratios(lineup(), Budget(accuracy_floor=0.8)) == {500}
    assert first_ratios(lineup(), Budget(accuracy_floor=0.99)) == {900}


def test_after_an_unsure_answer_every_more_accurate_variant_may_be_asked() -> None:
    assert after(900, Budget()) == {0, 500}
    assert after(500, Budget()) == {0}
    assert after(0, Budget()) == set()


def test_a_variant_that_is_not_in_memory_is_not_waited_for() -> None:
    assert after(900, Budget(), in_memory=frozenset({500, 900})) == {500}


@pytest.mark.parametrize(("latency_s", "goes_on"), [(0.02, True), (0.014, False)])
def test_what_was_spent_counts_against_the_latency_budget(latency_s: float, goes_on: bool) -> None:
    assert bool(after(900, Budget(latency_s=latency_s), spent_s=0.0095)) is goes_on


@pytest.mark.parametrize(("energy_j", "goes_on"), [(0.03, True), (0.02, False)])
def test_nothing_larger_is_asked_that_breaks_the_energy_budget(
    energy_j: float, goes_on: bool
) -> None:
    assert bool(after(900, Budget(energy_j=energy_j))) is goes_on
