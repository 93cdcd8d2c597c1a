"""Who prefers the least energy: the cheapest that floor and budgets allow, in large batches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling import Budget, NodeState, plan
from app.scheduling.dispatch import Dispatch
from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import FairSlack, View
from app.scheduling.menu import Menu
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Request
from tests.unit.scheduling.ladder import costs, scheduler
from tests.unit.scheduling.test_fair_price import view

POLICIES = pytest.mark.parametrize("policy", [FairSlack(), FairPrice()], ids=lambda p: p.name)


def asking(number: int = 0, *, group: str = "a", received_s: float = 0.0, **asks: Any) -> Request:
    budget = Budget(**{"least_energy": True, **asks})
    return Request(id=number, group=group, budget=budget, received_s=received_s)


def shown(windows: int = 1, **changes: Any) -> View:
    of = Menu(costs)
    return view(of, **({"offers": of.offers((1,) * windows), "request": asking()} | changes))


@POLICIES
@pytest.mark.parametrize(
    ("asks", "permille"),
    [({}, 900), ({"accuracy_floor": 0.85}, 500), ({"accuracy_floor": 0.9}, 0)],
)
def test_the_cheapest_that_the_floor_allows_is_taken(
    policy: FairSlack, asks: dict[str, float], permille: int
) -> None:
    assert policy.choose(shown(request=asking(**asks))).option.permille == permille


@POLICIES
def test_a_deadline_is_kept_before_energy_is_saved(policy: FairSlack) -> None:
    roomy = policy.choose(shown(windows=16, slack_s=1.0))
    tight = policy.choose(shown(windows=16, slack_s=0.006))
    assert roomy.option.batch == 16
    assert tight.latency_s <= 0.006


@POLICIES
def test_a_floor_that_nothing_keeps_gets_the_most_accurate(policy: FairSlack) -> None:
    assert policy.choose(shown(request=asking(accuracy_floor=0.95))).option.permille == 0


@POLICIES
def test_others_wait_and_it_still_gets_the_cheapest(policy: FairSlack) -> None:
    assert policy.choose(shown(windows=4, pace_s=1e-6)).option.permille == 900


@POLICIES
@given(
    windows=st.integers(1, 16),
    slack_ms=st.floats(0.5, 100),
    floor=st.none() | st.floats(0.0, 1.0),
    energy_mj=st.none() | st.floats(1, 100),
    handover_mj=st.floats(0, 20),
)
def test_what_is_chosen_fits_and_draws_hardly_more_than_any_that_fits(
    policy: FairSlack,
    windows: int,
    slack_ms: float,
    floor: float | None,
    energy_mj: float | None,
    handover_mj: float,
) -> None:
    asks = asking(accuracy_floor=floor, energy_j=None if energy_mj is None else 1e-3 * energy_mj)
    seen = shown(windows, request=asks, slack_s=1e-3 * slack_ms, handover_j=1e-3 * handover_mj)
    chosen = policy.choose(seen)
    fitting = [o for o in seen.offers if seen.fits_slack(o) and not seen.breaks(o)]
    if fitting:
        assert chosen in fitting
        assert seen.drawn_j(chosen) <= 1.05 * min(map(seen.drawn_j, fitting))


def test_a_policy_is_not_told_of_time_by_those_who_want_none() -> None:
    policy = FairPrice()
    for _ in range(64):
        policy.choose(shown(windows=4, pace_s=1e-3))
    assert policy._price.at(1e-3) == 0.0


def test_the_plan_says_that_it_was_preferred() -> None:
    planned = plan(costs(1), Budget(least_energy=True, accuracy_floor=0.85), NodeState())
    assert planned.feasible
    assert planned.reason == (
        "rho 0.5: variant of least energy (0.880), as preferred, "
        "expected at least 0.850 accurate (0.880)"
    )


def test_without_any_budget_it_says_so() -> None:
    planned = plan(costs(1), Budget(least_energy=True), NodeState())
    assert planned.reason == (
        "rho 0.9: variant of least energy (0.800), as preferred, no budget was given"
    )


def begin(made: Scheduler, *requests: Request, now_s: float = 0.0) -> list[Dispatch]:
    for request in requests:
        assert made.submit(request, now_s) is None
    dispatches = []
    while (dispatch := made.next(now_s)) is not None:
        dispatches.append(dispatch)
    return dispatches


def several(first: int, count: int, **fields: Any) -> list[Request]:
    return [asking(first + n, **fields) for n in range(count)]


def end(made: Scheduler, dispatch: Dispatch, now_s: float) -> list[Dispatch]:
    option = dispatch.offer.option
    made.finished(dispatch, latency_s=option.latency_s, energy_j=option.energy_j, now_s=now_s)
    return begin(made, now_s=now_s)


@pytest.fixture
def busy() -> tuple[Scheduler, Dispatch]:
    """Two cores, a batch of four on one of them."""
    made = scheduler(cores=2)
    (running,) = begin(made, *several(0, 4))
    assert len(running.requests) == 4
    return made, running


def test_a_smaller_batch_waits_for_the_end_of_a_larger_one(
    busy: tuple[Scheduler, Dispatch],
) -> None:
    made, running = busy
    assert begin(made, asking(10), now_s=0.001) == []
    assert begin(made, asking(11), now_s=0.002) == []
    (both,) = end(made, running, now_s=0.005)
    assert len(both.requests) == 2


def test_as_many_as_run_need_not_wait(busy: tuple[Scheduler, Dispatch]) -> None:
    made, _ = busy
    assert begin(made, *several(10, 3)) == []
    (full,) = begin(made, asking(13))
    assert len(full.requests) == 4


def test_a_request_alone_beside_another_does_not_wait() -> None:
    made = scheduler(cores=2)
    assert len(begin(made, asking(0))) == 1
    assert len(begin(made, asking(1))) == 1


@pytest.mark.parametrize(("latency_s", "until_s"), [(None, 0.125), (0.04, 0.02)])
def test_nobody_waits_for_company_longer_than_half_of_the_budget(
    busy: tuple[Scheduler, Dispatch], latency_s: float | None, until_s: float
) -> None:
    made, _ = busy
    assert begin(made, asking(10, latency_s=latency_s)) == []
    assert made.wake_s == pytest.approx(until_s)
    assert len(begin(made, now_s=made.wake_s)) == 1


def test_others_are_not_held_up_by_those_who_wait_for_company(
    busy: tuple[Scheduler, Dispatch],
) -> None:
    made, _ = busy
    hurried = Request(id=20, group="a", budget=Budget(), received_s=0.001)
    (dispatch,) = begin(made, asking(10), hurried, now_s=0.001)
    assert dispatch.requests == (hurried,)


@pytest.mark.parametrize("other", [{"group": "b"}, {"least_energy": False}])
def test_only_who_prefers_it_waits_and_only_for_its_kind(
    busy: tuple[Scheduler, Dispatch], other: dict[str, Any]
) -> None:
    made, _ = busy
    assert len(begin(made, asking(10, **other))) == 1
