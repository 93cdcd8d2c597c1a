from __future__ import annotations

import pytest

from app.ask import Ask
from app.errors import BudgetError, DeadlineError, NotReadyError, RequestError, ShedError
from app.inference.windows import Windows
from app.node import Node
from app.planning import Planner
from app.scheduling import Budget, VariantCost
from sentryfuse.energy import NullMeter
from sentryfuse.presence import Presence

OPTIONS = tuple(
    VariantCost(
        permille=permille, flops=1, latency_s=latency, energy_j=energy, expected_accuracy=accuracy
    )
    for permille, latency, energy, accuracy in (
        (0, 0.010, 0.050, 0.9),
        (500, 0.005, 0.025, 0.85),
        (900, 0.002, 0.010, 0.7),
    )
)
ALL = frozenset({0, 500, 900})
NOW = 10.0


def make(*, rate_hz: int = 0, cap_w: float | None = None, slow: float = 1.0) -> Planner:
    node = Node(NullMeter(), power_cap_w=cap_w, clock=lambda: NOW)
    for _ in range(rate_hz):
        node.admitted()
    for _ in range(50):
        node.ran(observed_s=slow, profiled_s=1.0)
        node.answered(overhead_s=0.0)
    return Planner(node, watts_per_core=5.0)


def ask(*, spent_s: float = 0.0, parse_cpu_s: float = 0.0, **budget: float | bool) -> Ask:
    windows = Windows(inputs={}, presence=Presence.full(1), batch=1)
    return Ask(
        windows=windows,
        budget=Budget(**budget),  # type: ignore[arg-type]
        received_s=NOW - spent_s,
        parse_cpu_s=parse_cpu_s,
    )


def arrive(planner: Planner, request: Ask, in_memory: frozenset[int] = ALL) -> int:
    plan = planner.at_arrival(request, OPTIONS, in_memory=in_memory, build_s=0.1, now_s=NOW)
    return plan.permille


def refused(planner: Planner, request: Ask) -> RequestError:
    with pytest.raises(RequestError) as caught:
        arrive(planner, request)
    return caught.value


def test_without_a_budget_the_most_accurate_variant_serves() -> None:
    assert arrive(make(), ask()) == 0


@pytest.mark.parametrize(("latency_s", "permille"), [(0.02, 0), (0.008, 500), (0.004, 900)])
def test_a_tighter_latency_budget_takes_a_smaller_variant(latency_s: float, permille: int) -> None:
    assert arrive(make(), ask(latency_s=latency_s)) == permille


def test_time_spent_on_reading_counts_against_the_latency_budget() -> None:
    assert arrive(make(), ask(latency_s=0.02, spent_s=0.013)) == 500


def test_a_slow_machine_takes_a_smaller_variant() -> None:
    assert arrive(make(slow=3.0), ask(latency_s=0.02)) == 500


@pytest.mark.parametrize(("energy_j", "permille"), [(0.06, 0), (0.03, 500), (0.012, 900)])
def test_a_tighter_energy_budget_takes_a_smaller_variant(energy_j: float, permille: int) -> None:
    assert arrive(make(), ask(energy_j=energy_j)) == permille


def test_energy_spent_on_reading_counts_against_the_energy_budget() -> None:
    assert arrive(make(), ask(energy_j=0.06, parse_cpu_s=0.004)) == 500


def test_a_power_budget_takes_a_smaller_variant_as_requests_get_more() -> None:
    assert arrive(make(), ask(power_w=0.06)) == 0
    assert arrive(make(rate_hz=2), ask(power_w=0.06)) == 500
    assert arrive(make(rate_hz=5), ask(power_w=0.06)) == 900


def test_a_variant_not_in_memory_is_not_waited_for_under_a_tight_latency_budget() -> None:
    assert arrive(make(), ask(latency_s=0.02), frozenset({900})) == 900
    assert arrive(make(), ask(), frozenset({900})) == 0


def test_the_wish_is_what_would_serve_best_were_all_in_memory() -> None:
    assert make().wish(ask(latency_s=0.02), OPTIONS) == 0
    assert make(cap_w=0.005).wish(ask(), OPTIONS) is None


def test_a_lenient_budget_that_nothing_keeps_gets_the_best_that_can_be_done() -> None:
    request = ask(latency_s=0.001)
    plan = make().at_arrival(request, OPTIONS, in_memory=ALL, build_s=0.1, now_s=NOW)
    assert (plan.permille, plan.feasible, plan.conceded) == (900, False, ("latency",))


def test_a_strict_budget_that_nothing_ever_keeps_states_the_least_possible() -> None:
    error = refused(make(), ask(latency_s=0.001, strict=True))
    assert isinstance(error, BudgetError)
    assert error.facts["budget"] == "latency"
    assert error.facts["asked_ms"] == pytest.approx(1.0)
    assert error.facts["least_possible_ms"] == pytest.approx(2.0, rel=0.1)


def test_a_strict_accuracy_floor_that_nothing_reaches_states_the_most_possible() -> None:
    error = refused(make(), ask(accuracy_floor=0.95, strict=True))
    assert isinstance(error, BudgetError)
    assert error.facts == {"budget": "accuracy", "asked": 0.95, "most_possible": 0.9}


def test_a_strict_budget_that_an_idle_machine_keeps_is_shed_on_a_busy_one() -> None:
    error = refused(make(slow=5.0), ask(latency_s=0.004, strict=True))
    assert isinstance(error, ShedError)
    assert error.reason == "busy"


def test_a_strict_power_budget_under_load_says_when_to_come_back() -> None:
    error = refused(make(rate_hz=20), ask(power_w=0.1, strict=True))
    assert isinstance(error, ShedError)
    assert error.reason == "power"
    assert error.retry_after_s == pytest.approx(5.0, rel=0.1)


def test_the_nodes_cap_takes_a_smaller_variant() -> None:
    assert arrive(make(cap_w=0.03), ask()) == 500


def test_the_nodes_cap_sheds_even_a_lenient_request_under_load() -> None:
    error = refused(make(rate_hz=20, cap_w=0.1), ask())
    assert isinstance(error, ShedError)
    assert error.reason == "power_cap"


def test_a_cap_that_leaves_no_room_at_all_is_not_ready() -> None:
    assert isinstance(refused(make(cap_w=0.005), ask()), NotReadyError)


def test_at_dispatch_only_what_is_in_memory_and_the_time_left_count() -> None:
    request = ask(latency_s=0.02, spent_s=0.013)
    planner = make()
    plan = planner.at_dispatch(request, OPTIONS, in_memory=frozenset({0, 900}), now_s=NOW)
    assert plan.permille == 900


def test_a_strict_latency_budget_that_ran_out_while_waiting_is_a_missed_deadline() -> None:
    request = ask(latency_s=0.02, spent_s=0.019, strict=True)
    with pytest.raises(DeadlineError, match="ran out"):
        make().at_dispatch(request, OPTIONS, in_memory=ALL, now_s=NOW)


def test_a_dry_run_decides_as_a_request_would() -> None:
    budget = Budget(latency_s=0.008)
    assert make().dry_run(OPTIONS, budget).permille == 500
    with pytest.raises(BudgetError):
        make().dry_run(OPTIONS, Budget(latency_s=1e-4, strict=True))
