from __future__ import annotations

import pytest

from app.answering.ask import Ask
from app.answering.outlook import Outlook
from app.answering.planning import Planner
from app.answering.refusals import Refusals
from app.errors import BudgetError, NotReadyError, RequestError, ShedError
from app.inference.lineup import menu_of
from app.inference.windows import Windows
from app.scheduling import Budget
from app.scheduling.dispatch import Dropped, DropReason, Limits, Refused
from app.scheduling.power_gate import PowerGate
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Request
from sentryfuse.presence import Presence
from tests.unit.lineups import ALL, lineup

NOW = 10.0
WATTS = 5.0


def machine(*, rate_hz: int = 0, cap_w: float | None = None, slow: float = 1.0) -> Outlook:
    gate = PowerGate(cap_w=cap_w, idle_power_w=0.0, now_s=NOW)
    scheduler = Scheduler(menu_of, Limits(cores=1), gate)
    scheduler.arrivals.record(NOW, rate_hz)
    for _ in range(50):
        scheduler.estimator.observe(slow, 1.0)
    return Outlook(scheduler, price=lambda: WATTS, clock=lambda: NOW)


def planner(outlook: Outlook) -> Planner:
    return Planner(outlook, Refusals(outlook))


def ask(*, spent_s: float = 0.0, parse_cpu_s: float = 0.0, **budget: float | bool) -> Ask:
    windows = Windows(inputs={}, presence=Presence.full(1), batch=1)
    return Ask(
        windows=windows,
        budget=Budget(**budget),  # type: ignore[arg-type]
        received_s=NOW - spent_s,
        parse_cpu_s=parse_cpu_s,
    )


def dry_run(outlook: Outlook, request: Ask) -> int:
    options = outlook.options(request, lineup())
    return planner(outlook).dry_run(options, request.budget).permille


def refused(outlook: Outlook, request: Ask) -> RequestError:
    with pytest.raises(RequestError) as caught:
        dry_run(outlook, request)
    return caught.value


def to_build(request: Ask, in_memory: frozenset[int], *, build_s: float = 0.1) -> int | None:
    return planner(machine()).to_build(request, lineup(in_memory), build_s=build_s)


def dropped(outlook: Outlook, request: Ask, reason: DropReason) -> RequestError:
    inner = Request(id=0, group="", budget=request.budget, received_s=request.received_s)
    return Refusals(outlook).dropped(request, lineup(), Dropped(inner, reason, 0.019))


def test_without_a_budget_the_most_accurate_variant_serves() -> None:
    assert dry_run(machine(), ask()) == 0


@pytest.mark.parametrize(("latency_s", "permille"), [(0.02, 0), (0.008, 500), (0.004, 900)])
def test_a_tighter_latency_budget_takes_a_smaller_variant(latency_s: float, permille: int) -> None:
    assert dry_run(machine(), ask(latency_s=latency_s)) == permille


def test_a_slow_machine_takes_a_smaller_variant() -> None:
    assert dry_run(machine(slow=3.0), ask(latency_s=0.02)) == 500


@pytest.mark.parametrize(("energy_j", "permille"), [(0.06, 0), (0.03, 500), (0.012, 900)])
def test_a_tighter_energy_budget_takes_a_smaller_variant(energy_j: float, permille: int) -> None:
    assert dry_run(machine(), ask(energy_j=energy_j)) == permille


def test_energy_spent_on_reading_counts_against_the_energy_budget() -> None:
    assert dry_run(machine(), ask(energy_j=0.06, parse_cpu_s=0.004)) == 500


def test_a_hungrier_machine_takes_a_smaller_variant() -> None:
    outlook = machine()
    for _ in range(50):
        outlook.scheduler.estimator.observe(1.0, 2.0)
    assert dry_run(outlook, ask(energy_j=0.06)) == 500


def test_a_power_budget_takes_a_smaller_variant_as_requests_get_more() -> None:
    assert dry_run(machine(), ask(power_w=0.06)) == 0
    assert dry_run(machine(rate_hz=2), ask(power_w=0.06)) == 500
    assert dry_run(machine(rate_hz=5), ask(power_w=0.06)) == 900


def test_a_variant_that_the_budget_leaves_time_for_is_built_first() -> None:
    assert to_build(ask(), frozenset({900})) == 0
    assert to_build(ask(energy_j=0.03), frozenset({900})) == 500


def test_a_variant_is_not_built_under_a_budget_that_leaves_no_time_for_it() -> None:
    assert to_build(ask(latency_s=0.02), frozenset({900})) is None
    assert to_build(ask(latency_s=0.02, spent_s=0.01), frozenset({900}), build_s=0.005) is None


def test_nothing_is_built_for_who_is_served_best_by_what_is_there() -> None:
    assert to_build(ask(), frozenset({0, 900})) is None


def test_where_nothing_is_in_memory_something_is_built_whatever_the_budget() -> None:
    assert to_build(ask(latency_s=0.001), frozenset()) == 900


def test_a_strict_budget_that_building_breaks_is_refused_for_now() -> None:
    with pytest.raises(ShedError, match="an idle machine could"):
        to_build(ask(latency_s=0.02, strict=True), frozenset())


def test_the_wish_is_what_would_serve_best_were_all_in_memory() -> None:
    assert planner(machine()).wish(ask(latency_s=0.02), lineup({900})) == 0
    assert planner(machine(cap_w=0.005)).wish(ask(), lineup()) is None


def test_a_lenient_budget_that_nothing_keeps_gets_the_best_that_can_be_done() -> None:
    plan = planner(machine()).dry_run(lineup().options(1), Budget(latency_s=0.001))
    assert (plan.permille, plan.feasible, plan.conceded) == (900, False, ("latency",))


def test_a_strict_budget_that_nothing_ever_keeps_states_the_least_possible() -> None:
    error = refused(machine(), ask(latency_s=0.001, strict=True))
    assert isinstance(error, BudgetError)
    assert error.facts["budget"] == "latency"
    assert error.facts["asked_ms"] == pytest.approx(1.0)
    assert error.facts["least_possible_ms"] == pytest.approx(2.0, rel=0.1)


def test_a_strict_accuracy_floor_that_nothing_reaches_states_the_most_possible() -> None:
    error = refused(machine(), ask(accuracy_floor=0.95, strict=True))
    assert isinstance(error, BudgetError)
    assert error.facts == {"budget": "accuracy", "asked": 0.95, "most_possible": 0.9}


def test_a_strict_budget_that_an_idle_machine_keeps_is_shed_on_a_busy_one() -> None:
    error = refused(machine(slow=5.0), ask(latency_s=0.004, strict=True))
    assert isinstance(error, ShedError)
    assert error.reason == "busy"


def test_what_only_a_crowd_makes_impossible_is_shed_not_refused_for_good() -> None:
    outlook = machine()
    outlook.scheduler.overhead_s = 0.05  # answers take long to get out, for all the others
    request = ask(latency_s=0.02, spent_s=0.015, strict=True)
    for error in (
        refused(outlook, request),
        Refusals(outlook).refused(request, lineup(), Refused("busy", 0.01, "three wait")),
    ):
        assert isinstance(error, ShedError)
        assert error.reason == "busy"


def test_a_host_faster_than_its_profile_is_judged_by_what_it_does() -> None:
    assert dry_run(machine(slow=0.5), ask(latency_s=0.0015, strict=True)) == 900


def test_the_nodes_cap_takes_a_smaller_variant() -> None:
    assert dry_run(machine(cap_w=0.03), ask()) == 500


def test_the_nodes_cap_sheds_even_a_lenient_request_under_load() -> None:
    error = refused(machine(rate_hz=20, cap_w=0.1), ask())
    assert isinstance(error, ShedError)
    assert error.reason == "power_cap"


def test_a_cap_that_leaves_no_room_at_all_is_not_ready() -> None:
    assert isinstance(refused(machine(cap_w=0.005), ask()), NotReadyError)


@pytest.mark.parametrize(("cap_w", "error"), [(0.009, NotReadyError), (0.1, ShedError)])
def test_a_request_refused_for_power_is_told_whether_that_will_change(
    cap_w: float, error: type[RequestError]
) -> None:
    verdict = Refused("power_cap", 2.5, "no energy")
    told = Refusals(machine(cap_w=cap_w)).refused(ask(), lineup(), verdict)
    assert type(told) is error
    if isinstance(told, ShedError):
        assert (told.reason, told.retry_after_s) == ("power_cap", 2.5)


def test_a_strict_request_refused_as_late_is_told_whether_it_ever_could_be_in_time() -> None:
    busy = Refused("busy", 0.01, "three wait")
    refusals = Refusals(machine())
    ever = refusals.refused(ask(latency_s=0.02, strict=True), lineup(), busy)
    never = refusals.refused(ask(latency_s=0.001, strict=True), lineup(), busy)
    assert isinstance(ever, ShedError)
    assert ever.retry_after_s == 0.1, "never sooner than a tenth of a second"
    assert isinstance(never, BudgetError)


def test_a_deadline_that_passed_in_the_queue_is_told_with_the_wait() -> None:
    error = dropped(machine(), ask(latency_s=0.02, strict=True), "deadline")
    assert error.facts == {"budget_ms": 20.0, "waited_ms": 19.0}
    assert "ran out" in str(error)


def test_patience_that_ran_out_is_a_queue_timeout() -> None:
    error = dropped(machine(), ask(), "patience")
    assert isinstance(error, ShedError)
    assert error.reason == "queue_timeout"


@pytest.mark.parametrize(
    ("budget", "reason", "error"),
    [
        ({"energy_j": 0.02}, "energy", ShedError),
        ({"energy_j": 0.005}, "energy", BudgetError),
        ({"power_w": 0.02}, "power", ShedError),
        ({"power_w": 0.005}, "power", BudgetError),
        ({"accuracy_floor": 0.85}, "accuracy", ShedError),
        ({"accuracy_floor": 0.95}, "accuracy", BudgetError),
    ],
)
def test_a_strict_budget_given_up_at_dispatch_is_for_good_only_if_an_idle_node_fails_too(
    budget: dict[str, float], reason: DropReason, error: type[RequestError]
) -> None:
    told = dropped(machine(rate_hz=50), ask(strict=True, **budget), reason)
    assert type(told) is error
    if isinstance(told, ShedError):
        assert told.reason == reason


def test_in_memory_or_not_makes_no_difference_to_a_dry_run() -> None:
    outlook = machine()
    options = [outlook.options(ask(), lineup(held)) for held in (ALL, frozenset({900}))]
    assert options[0] == options[1]
