from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling import Budget, Infeasible, NodeState, Plan, VariantCost, plan

# Few distinct values, so that ties and exact hits happen often.
levels = st.sampled_from([0.001, 0.002, 0.005, 0.01, 0.1, 1.0]) | st.floats(1e-6, 1e3)
accuracies = st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]) | st.floats(0, 1)
maybe_levels = st.none() | levels
options = st.lists(
    st.builds(
        VariantCost,
        permille=st.integers(0, 999),
        flops=st.integers(1, 10**9),
        latency_s=levels,
        energy_j=levels,
        expected_accuracy=accuracies,
        batch=st.integers(1, 16),
        threads=st.integers(1, 4),
    ),
    min_size=1,
    max_size=8,
)
budgets = st.builds(
    Budget,
    latency_s=maybe_levels,
    energy_j=maybe_levels,
    power_w=maybe_levels,
    accuracy_floor=st.none() | accuracies,
    least_energy=st.booleans(),
    strict=st.booleans(),
)
nodes = st.builds(
    NodeState,
    idle_power_w=st.just(0.0) | levels,
    arrival_rate_hz=st.just(0.0) | levels,
    power_cap_w=maybe_levels,
    slowdown=st.just(1.0) | st.floats(0.1, 10.0),
    slowdown_margin=st.just(0.0) | st.floats(0.0, 1.0),
    elapsed_s=st.just(0.0) | levels,
)
cases = given(options=options, budget=budgets, node=nodes)
Options = list[VariantCost]
FIELDS = {
    "latency": "latency_s",
    "energy": "energy_j",
    "power": "power_w",
    "accuracy": "accuracy_floor",
}


def verdict(options: Options, budget: Budget, node: NodeState) -> Plan | Infeasible:
    try:
        return plan(options, budget, node)
    except Infeasible as refused:
        return refused


def planned(options: Options, budget: Budget, node: NodeState) -> Plan | None:
    answer = verdict(options, budget, node)
    return answer if isinstance(answer, Plan) else None


@cases
def test_no_plan_breaks_the_nodes_cap(options: Options, budget: Budget, node: NodeState) -> None:
    decision = planned(options, budget, node)
    if decision is not None and node.power_cap_w is not None:
        assert decision.expected_power_w <= node.power_cap_w


@cases
def test_a_feasible_plan_never_exceeds_any_budget(
    options: Options, budget: Budget, node: NodeState
) -> None:
    decision = planned(options, budget, node)
    if decision is None or not decision.feasible:
        return
    assert decision.conceded == ()
    assert budget.latency_s is None or decision.expected_latency_s <= budget.latency_s
    assert budget.energy_j is None or decision.expected_energy_j <= budget.energy_j
    assert budget.power_w is None or decision.expected_power_w <= budget.power_w
    assert budget.accuracy_floor is None or decision.expected_accuracy >= budget.accuracy_floor


@cases
def test_a_feasible_plan_is_the_most_accurate_or_the_cheapest_of_all_that_fit(
    options: Options, budget: Budget, node: NodeState
) -> None:
    alone = [planned([option], replace(budget, strict=True), node) for option in options]
    fitting = [p for p in alone if p is not None]
    decision = planned(options, budget, node)
    if not fitting:
        assert decision is None or not decision.feasible
        return
    assert decision is not None
    assert decision.feasible
    if budget.least_energy:
        assert decision.expected_energy_j == min(p.expected_energy_j for p in fitting)
    else:
        assert decision.expected_accuracy == max(p.expected_accuracy for p in fitting)


@cases
def test_lenient_planning_fails_only_for_the_cap(
    options: Options, budget: Budget, node: NodeState
) -> None:
    answer = verdict(options, replace(budget, strict=False), node)
    if isinstance(answer, Infeasible):
        assert answer.kind == "cap"
        assert node.power_cap_w is not None
        assert answer.least_possible > node.power_cap_w


@cases
def test_a_strict_refusal_names_a_budget_that_is_met_by_asking_for_the_least_possible(
    options: Options, budget: Budget, node: NodeState
) -> None:
    refused = verdict(options, budget, node)
    if isinstance(refused, Infeasible) and refused.kind != "cap":
        field = FIELDS[refused.kind]
        eased = replace(budget, strict=False, **{field: refused.least_possible})
        assert refused.kind not in plan(options, eased, node).conceded


@pytest.mark.parametrize("name", ["latency_s", "energy_j", "power_w"])
@given(options=options, budget=budgets, node=nodes, smaller=levels, larger=levels)
def test_a_smaller_budget_never_gives_a_costlier_plan_in_that_quantity(
    name: str,
    options: Options,
    budget: Budget,
    node: NodeState,
    smaller: float,
    larger: float,
) -> None:
    smaller, larger = sorted((smaller, larger))
    budget = replace(budget, strict=False)
    tight = planned(options, replace(budget, **{name: smaller}), node)
    loose = planned(options, replace(budget, **{name: larger}), node)
    if tight is not None and loose is not None:
        assert getattr(tight, f"expected_{name}") <= getattr(loose, f"expected_{name}")


@given(options=options, budget=budgets, node=nodes, low=accuracies, high=accuracies)
def test_a_higher_floor_never_gives_a_less_accurate_plan(
    options: Options, budget: Budget, node: NodeState, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    budget = replace(budget, strict=False)
    modest = planned(options, replace(budget, accuracy_floor=low), node)
    demanding = planned(options, replace(budget, accuracy_floor=high), node)
    if modest is not None and demanding is not None:
        assert demanding.expected_accuracy >= modest.expected_accuracy


@given(options=options, budget=budgets, node=nodes, order=st.randoms())
def test_the_order_of_the_options_does_not_matter(
    options: Options, budget: Budget, node: NodeState, order: object
) -> None:
    shuffled = list(options)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert planned(shuffled, budget, node) == planned(options, budget, node)


@cases
def test_the_same_question_has_the_same_answer(
    options: Options, budget: Budget, node: NodeState
) -> None:
    assert planned(options, budget, node) == planned(options, budget, node)


@cases
def test_every_reason_is_one_line_that_starts_with_the_ratio(
    options: Options, budget: Budget, node: NodeState
) -> None:
    decision = planned(options, budget, node)
    if decision is not None:
        assert decision.reason.startswith(f"rho {decision.permille / 1000:g}: ")
        assert "\n" not in decision.reason
