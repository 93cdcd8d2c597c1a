from __future__ import annotations

from typing import Any

import pytest

from app.scheduling import Budget, Infeasible, NodeState, VariantCost, plan

DENSE = VariantCost(
    permille=0, flops=9_000_000, latency_s=9e-3, energy_j=0.09, expected_accuracy=0.88
)
HALF = VariantCost(
    permille=500, flops=5_000_000, latency_s=5e-3, energy_j=0.05, expected_accuracy=0.87
)
SMALL = VariantCost(
    permille=900, flops=2_000_000, latency_s=2e-3, energy_j=0.02, expected_accuracy=0.80
)
LADDER = (DENSE, HALF, SMALL)


def chosen(node: NodeState | None = None, **budget: Any) -> int:
    return plan(LADDER, Budget(**budget), node or NodeState()).permille


def test_without_a_budget_the_most_accurate_variant_is_chosen() -> None:
    assert chosen() == 0


def test_a_latency_budget_chooses_the_most_accurate_variant_that_makes_it() -> None:
    assert chosen(latency_s=6e-3) == 500


def test_a_budget_met_exactly_is_met() -> None:
    assert plan(LADDER, Budget(latency_s=5e-3), NodeState()).feasible


def test_an_energy_budget_limits_the_joules_of_the_request() -> None:
    assert chosen(energy_j=0.03) == 900


def test_time_already_spent_leaves_less_for_inference() -> None:
    assert chosen(NodeState(elapsed_s=2e-3), latency_s=6e-3) == 900


def test_a_slow_machine_gets_a_smaller_variant() -> None:
    assert chosen(NodeState(slowdown=2.0), latency_s=6e-3) == 900


def test_an_uncertain_slowdown_gets_a_smaller_variant() -> None:
    assert chosen(NodeState(slowdown_margin=0.5), latency_s=6e-3) == 900


def test_expected_latency_is_what_the_budget_counts_without_the_margin() -> None:
    node = NodeState(slowdown=2.0, slowdown_margin=0.5, elapsed_s=1e-3)

    assert plan([HALF], Budget(), node).expected_latency_s == pytest.approx(11e-3)


def test_power_is_idle_plus_rate_times_energy() -> None:
    node = NodeState(idle_power_w=3.0, arrival_rate_hz=40.0)

    decision = plan(LADDER, Budget(power_w=5.0), node)

    assert decision.permille == 500
    assert decision.expected_power_w == pytest.approx(5.0)


def test_a_lone_request_is_judged_over_one_second() -> None:
    node = NodeState(idle_power_w=3.0, arrival_rate_hz=0.001)

    assert chosen(node, power_w=3.06) == 500


def test_ties_in_accuracy_go_to_the_variant_of_least_energy() -> None:
    thrifty = VariantCost(
        permille=250, flops=7, latency_s=8e-3, energy_j=0.07, expected_accuracy=0.88
    )

    assert plan([DENSE, thrifty], Budget(), NodeState()).permille == 250


def test_ties_in_accuracy_and_energy_go_to_the_larger_batch() -> None:
    options = [
        VariantCost(
            permille=0, flops=7, latency_s=8e-3, energy_j=0.07, expected_accuracy=0.88, batch=batch
        )
        for batch in (1, 8, 4)
    ]

    assert plan(options, Budget(), NodeState()).batch == 8


def test_a_latency_that_cannot_be_met_gets_the_fastest_variant_marked_as_missed() -> None:
    decision = plan(LADDER, Budget(latency_s=1e-3), NodeState())

    assert (decision.permille, decision.feasible, decision.conceded) == (900, False, ("latency",))


def test_energy_is_conceded_before_latency() -> None:
    decision = plan(LADDER, Budget(latency_s=3e-3, energy_j=0.01), NodeState())

    assert (decision.permille, decision.conceded) == (900, ("energy",))


def test_energy_is_conceded_before_the_accuracy_floor_and_by_as_little_as_possible() -> None:
    decision = plan(LADDER, Budget(accuracy_floor=0.85, energy_j=0.03), NodeState())

    assert (decision.permille, decision.conceded) == (500, ("energy",))


def test_power_is_conceded_before_the_accuracy_floor() -> None:
    decision = plan(LADDER, Budget(accuracy_floor=0.85, power_w=0.03), NodeState())

    assert (decision.permille, decision.conceded) == (500, ("power",))


def test_energy_is_conceded_before_power() -> None:
    # Power and energy rise together, so only more energy than power can be short.
    decision = plan(LADDER, Budget(power_w=0.025, energy_j=0.01), NodeState())

    assert (decision.permille, decision.conceded) == (900, ("energy",))


def test_the_accuracy_floor_is_conceded_before_latency() -> None:
    decision = plan(LADDER, Budget(accuracy_floor=0.85, latency_s=3e-3), NodeState())

    assert (decision.permille, decision.conceded) == (900, ("accuracy",))


def test_a_floor_out_of_reach_is_missed_by_as_little_as_possible_whatever_the_energy() -> None:
    decision = plan(LADDER, Budget(accuracy_floor=0.99, energy_j=0.03), NodeState())

    assert (decision.permille, decision.conceded) == (0, ("energy", "accuracy"))


def test_a_floor_met_exactly_is_met() -> None:
    assert plan([HALF], Budget(accuracy_floor=0.87), NodeState()).feasible


def test_everything_missed_is_listed_in_the_order_of_concession() -> None:
    budget = Budget(latency_s=1e-3, accuracy_floor=0.99, power_w=0.001, energy_j=0.001)

    decision = plan(LADDER, budget, NodeState())

    assert decision.conceded == ("energy", "power", "accuracy", "latency")


def test_the_nodes_cap_limits_even_a_request_without_a_budget() -> None:
    assert chosen(NodeState(idle_power_w=3.0, power_cap_w=3.06)) == 500


def test_the_nodes_cap_is_kept_before_the_callers_latency() -> None:
    fast_but_hungry = VariantCost(
        permille=999, flops=1, latency_s=1e-4, energy_j=1.0, expected_accuracy=0.9
    )

    decision = plan([*LADDER, fast_but_hungry], Budget(latency_s=1e-3), NodeState(power_cap_w=0.5))

    assert (decision.permille, decision.conceded) == (900, ("latency",))


@pytest.mark.parametrize("strict", [False, True])
def test_a_cap_that_nothing_keeps_is_never_conceded(strict: bool) -> None:
    node = NodeState(idle_power_w=3.0, power_cap_w=2.5)

    with pytest.raises(Infeasible, match=r"node's power cap of 2.5 W") as refused:
        plan(LADDER, Budget(strict=strict), node)

    assert refused.value.kind == "cap"
    assert refused.value.least_possible == pytest.approx(3.02)
    assert refused.value.asked == 2.5


def test_a_strict_latency_budget_states_the_least_it_could_be() -> None:
    with pytest.raises(Infeasible, match=r"latency budget of 1 ms.*least possible is 2 ms") as no:
        plan(LADDER, Budget(latency_s=1e-3, strict=True), NodeState())

    assert (no.value.kind, no.value.least_possible, no.value.asked) == ("latency", 2e-3, 1e-3)


def test_a_strict_accuracy_floor_states_the_most_the_other_budgets_allow() -> None:
    with pytest.raises(Infeasible, match=r"floor of 0.880: the most possible is 0.870") as refused:
        plan(LADDER, Budget(latency_s=6e-3, accuracy_floor=0.88, strict=True), NodeState())

    assert (refused.value.kind, refused.value.least_possible) == ("accuracy", 0.87)


def test_a_strict_energy_budget_states_the_least_the_other_budgets_allow() -> None:
    with pytest.raises(Infeasible, match=r"energy budget of 10 mJ.*50 mJ") as refused:
        plan(LADDER, Budget(accuracy_floor=0.85, energy_j=0.01, strict=True), NodeState())

    assert (refused.value.kind, refused.value.least_possible) == ("energy", 0.05)


def test_a_strict_budget_that_fits_is_an_ordinary_plan() -> None:
    lenient = plan(LADDER, Budget(latency_s=6e-3), NodeState())

    assert plan(LADDER, Budget(latency_s=6e-3, strict=True), NodeState()) == lenient


def test_planning_with_no_options_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one option"):
        plan([], Budget(), NodeState())


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["latency_s", "energy_j", "power_w"])
def test_a_budget_that_makes_no_sense_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"budget.{name} must be finite and positive"):
        Budget(**{name: value})


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_an_accuracy_floor_outside_zero_to_one_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match=r"accuracy_floor must be in \[0, 1\]"):
        Budget(accuracy_floor=floor)


def test_a_cost_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variant.energy_j"):
        VariantCost(
            permille=0, flops=1, latency_s=1.0, energy_j=float("nan"), expected_accuracy=1.0
        )
