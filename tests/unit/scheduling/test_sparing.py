"""Nobody is late for the sake of a batch that its head alone likes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling import Budget
from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import FairSlack, View
from app.scheduling.menu import Menu
from app.scheduling.types import Request
from app.scheduling.waiting import MOST_TOGETHER, NOBODY, Waiting
from tests.unit.scheduling.busy_loop import BusyLoop, poisson
from tests.unit.scheduling.ladder import costs, request, scheduler
from tests.unit.scheduling.test_fair_price import view

POLICIES = pytest.mark.parametrize("policy", [FairSlack(), FairPrice()], ids=lambda p: p.name)
SLACKS = st.lists(st.floats(-0.01, 0.1), min_size=1, max_size=40).map(sorted)


def shown(slacks_ms: list[float], *, others_ms: tuple[float, ...] = (), **changes: Any) -> View:
    """One who is asked for, with those behind it, and others who can't share its batch."""
    lane_s = [1e-3 * slack for slack in slacks_ms]
    of = Menu(costs)
    budget = Budget(latency_s=0.1, **changes.pop("asks", {}))
    return view(
        of,
        request=Request(id=0, group="a", budget=budget, received_s=0.0),
        offers=of.offers((1,) * len(lane_s)),
        slack_s=lane_s[0],
        queued=len(lane_s) + len(others_ms),
        waiting=Waiting(lane_s, sorted([*lane_s, *(1e-3 * slack for slack in others_ms)])),
        **changes,
    )


def test_those_in_the_batch_are_late_if_it_ends_too_late_for_them() -> None:
    waiting = Waiting([0.001, 0.002, 0.003], [0.001, 0.002, 0.003])
    assert [waiting.late(3, ends_s, 0.001, 0.0) for ends_s in (0.001, 0.0025, 0.004)] == [0, 2, 3]


def test_those_left_behind_are_served_together_when_a_core_is_free() -> None:
    slacks_s = [0.002, 0.010, 0.011, 0.012]
    alone = Waiting(slacks_s, slacks_s)
    assert alone.late(1, 0.002, 0.001, 0.0) == 0  # three of them, from 2 ms on, until 5 ms
    assert alone.late(1, 0.002, 0.0028, 0.0) == 1  # until 10.4 ms
    assert Waiting(slacks_s, slacks_s, next_core_s=0.0).late(1, 0.002, 0.0028, 0.0) == 0


def test_between_two_batches_a_core_is_handed_over() -> None:
    waiting = Waiting([0.002, 0.010], [0.002, 0.010])
    assert [waiting.late(1, 0.002, 0.001, handover_s) for handover_s in (0.0, 0.008)] == [0, 1]


def test_who_waits_elsewhere_is_left_behind_by_every_batch() -> None:
    waiting = Waiting([0.010, 0.020], [0.003, 0.010, 0.020])
    assert waiting.late(2, 0.005, 0.001, 0.0) == 1
    assert waiting.late(2, 0.001, 0.001, 0.0) == 0


@given(slacks_s=SLACKS, requests=st.integers(1, 32), window_s=st.floats(0, 0.01))
def test_no_more_are_late_than_wait_and_the_sooner_it_ends_the_fewer(
    slacks_s: list[float], requests: int, window_s: float
) -> None:
    lane_s, taken = slacks_s[:MOST_TOGETHER], min(requests, len(slacks_s), MOST_TOGETHER)
    waiting = Waiting(lane_s, slacks_s)
    late = [waiting.late(taken, ends_s, window_s, 0.0) for ends_s in (0.0, 0.005, 0.02, math.inf)]
    assert late == sorted(late)
    assert late[0] >= 0
    assert late[-1] <= len(slacks_s)


@POLICIES
def test_where_nobody_would_be_late_the_most_accurate_is_taken(policy: FairSlack) -> None:
    assert policy.choose(shown([10, 50, 50])).option.permille == 0


@POLICIES
def test_a_head_in_a_hurry_shares_a_smaller_variant_rather_than_making_all_others_late(
    policy: FairSlack,
) -> None:
    # Alone at 500 it takes 5 ms, and the three behind it 12 more; all four at 900 take 5 ms.
    crowd, alone = shown([5.5, 8, 9, 10]), shown([5.5])
    assert policy.choose(alone).option.permille == 500
    chosen = policy.choose(crowd)
    assert (chosen.requests, chosen.option.permille) == (4, 900)


@POLICIES
def test_a_floor_is_given_up_rather_than_the_time_of_many(policy: FairSlack) -> None:
    asks = {"accuracy_floor": 0.85}
    assert policy.choose(shown([5.5], asks=asks)).option.permille == 500
    assert policy.choose(shown([5.5, 8, 9, 10], asks=asks)).option.permille == 900
    assert policy.choose(shown([5.5, 40, 50, 60], asks=asks)).option.permille == 500


@POLICIES
def test_one_is_late_rather_than_many(policy: FairSlack) -> None:
    # Nothing ends within 1.5 ms; the quickest is one at a time, which makes those behind it late.
    chosen = policy.choose(shown([1.5, 5.1, 5.2, 5.3]))
    assert (chosen.requests, chosen.option.permille) == (3, 900)


@POLICIES
def test_who_is_strict_is_not_made_late_for_others(policy: FairSlack) -> None:
    slacks_ms = [2.5, 5.5, 5.5, 5.5, 5.5]
    chosen = policy.choose(shown(slacks_ms, asks={"strict": True}))
    assert chosen.latency_s <= 0.0025
    assert policy.choose(shown(slacks_ms)).requests == 4


@POLICIES
def test_a_strict_floor_is_not_given_up_for_others(policy: FairSlack) -> None:
    asks = {"accuracy_floor": 0.85, "strict": True}
    assert policy.choose(shown([5.5, 8, 9, 10], asks=asks)).accuracy >= 0.85


@POLICIES
def test_others_who_wait_elsewhere_count_too(policy: FairSlack) -> None:
    assert policy.choose(shown([10])).option.permille == 0
    assert policy.choose(shown([10], others_ms=(14, 14, 14))).option.permille == 900


@POLICIES
@given(slacks_ms=st.lists(st.floats(1, 40), min_size=1, max_size=20).map(sorted))
def test_what_is_taken_makes_nobody_late_that_another_offer_would_not(
    policy: FairSlack, slacks_ms: list[float]
) -> None:
    seen = shown(slacks_ms)
    least_s = {p: min(o.core_s for o in seen.offers if o.option.permille == p) for p in (0, 500)}
    least_s[900] = min(o.core_s for o in seen.offers)
    late = {o: seen.late(o, least_s[o.option.permille]) for o in seen.offers}
    assert late[policy.choose(seen)] == min(late.values())


def test_the_scheduler_tells_of_all_who_wait_and_of_the_next_core() -> None:
    made = scheduler(cores=2)
    for number, group in enumerate("abab"):
        made.submit(request(number, 20 + number, group=group), 0.0)
    first, second = made.next(0.0), made.next(0.0)
    assert first is not None
    assert second is not None
    assert first.view.waiting.lane_s == pytest.approx([0.020, 0.022])
    assert first.view.waiting.all_s == pytest.approx([0.020, 0.021, 0.022, 0.023])
    assert first.view.waiting.next_core_s == 0.0
    assert second.view.waiting.next_core_s == pytest.approx(first.predicted_s)


def test_who_waits_alone_costs_no_look_around() -> None:
    made = scheduler()
    made.submit(request(0, 20), 0.0)
    dispatch = made.next(0.0)
    assert dispatch is not None
    assert dispatch.view.waiting is NOBODY


@pytest.mark.parametrize("seed", [2, 3])
def test_a_floor_does_not_make_a_rush_late(seed: int) -> None:
    """Before, the batches shrank with the slack of their heads: 0.8 were in time."""
    arrivals = poisson(1600, 0, 4.0, seed=seed)
    assert BusyLoop(accuracy_floor=0.945).run(arrivals).attainment(len(arrivals)) > 0.9
