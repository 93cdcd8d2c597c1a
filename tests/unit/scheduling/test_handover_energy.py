"""What handing a batch over draws decides between batches that a profile hardly tells apart."""

from __future__ import annotations

from typing import Any

import pytest

from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import FairSlack
from app.scheduling.handover import Handover
from app.scheduling.menu import Menu
from app.scheduling.types import Budget, Request, VariantCost
from tests.unit.scheduling.ladder import request, scheduler
from tests.unit.scheduling.test_fair_price import view

EACH_J = {1: 3.4e-3, 4: 2.6e-3, 5: 2.7e-3}  # of one window, by the batch from which it holds


def flat_costs(windows: int) -> list[VariantCost]:
    """One variant, a little dearer for each window in larger batches than in one of four."""
    each_j = next(j for batch, j in reversed(EACH_J.items()) if batch <= windows)
    cost = VariantCost(
        permille=500,
        flops=1,
        latency_s=windows * 1e-3,
        energy_j=windows * each_j,
        expected_accuracy=0.9,
        batch=windows,
    )
    return [cost]


FLAT = Menu(flat_costs)
POLICIES = pytest.mark.parametrize("policy", [FairSlack(), FairPrice()], ids=lambda p: p.name)


def batch(policy: FairSlack, **changes: Any) -> int:
    shown = view(FLAT, offers=FLAT.offers((1,) * 16), slack_s=1.0, **changes)
    return policy.choose(shown).option.batch


@POLICIES
def test_a_profile_alone_decides_where_handing_over_draws_nothing(policy: FairSlack) -> None:
    assert batch(policy) == 4


@POLICIES
def test_what_is_handed_over_once_is_shared_by_more(policy: FairSlack) -> None:
    assert batch(policy, handover_j=2e-3) == 16


@POLICIES
def test_a_batch_that_would_be_late_is_not_taken_for_it(policy: FairSlack) -> None:
    shown = view(FLAT, offers=FLAT.offers((1,) * 16), slack_s=7e-3, handover_j=2e-3)
    assert policy.choose(shown).latency_s <= 7e-3


@POLICIES
def test_where_nothing_fits_a_budget_the_larger_batch_is_the_cheaper_one_too(
    policy: FairSlack,
) -> None:
    asks = Request(id=0, group="a", budget=Budget(energy_j=1e-6), received_s=0.0)
    assert batch(policy, request=asks) == 4
    assert batch(policy, request=asks, handover_j=2e-3) == 16


def test_a_budget_is_of_what_the_receipt_says_and_that_knows_no_handover() -> None:
    asks = Request(id=0, group="a", budget=Budget(energy_j=3.5e-3), received_s=0.0)
    shown = view(FLAT, request=asks, handover_j=1.0)
    assert shown.breaks(shown.offers[0]) is None


def test_a_request_bears_its_part_of_a_handover_by_its_windows() -> None:
    asks = Request(id=0, group="a", budget=Budget(), received_s=0.0, windows=2)
    offers = FLAT.offers((2, 2))
    shown = view(FLAT, request=asks, offers=offers, handover_j=1e-3, energy_factor=2.0)
    alone = next(o for o in offers if o.requests == 1)
    shared = next(o for o in offers if o.requests == 2)
    assert shown.drawn_j(alone) == pytest.approx(2 * alone.energy_j + 1e-3)
    assert shown.drawn_j(shared) == pytest.approx(2 * shared.energy_j + 0.5e-3)


def learnt(*joules: float) -> float:
    handover = Handover()
    for energy_j in joules:
        handover = handover.updated(0.001, energy_j)
    return handover.energy_j


def test_the_first_batch_says_what_it_draws_and_others_move_it() -> None:
    assert learnt(0.002) == 0.002
    assert 0.002 < learnt(0.002, 0.003) < 0.003
    assert learnt(0.001, *[0.003] * 200) == pytest.approx(0.003, rel=0.01)


def test_one_batch_that_draws_absurdly_much_leaves_it_about_where_it_is() -> None:
    assert learnt(*[0.001] * 50, 5.0) < 0.0012


def test_where_it_is_not_measured_it_is_nothing() -> None:
    assert learnt(0.0, 0.0) == 0.0


def test_the_scheduler_shows_the_policy_what_batches_drew() -> None:
    made = scheduler()
    for number in range(2):
        made.submit(request(number, 200), 0.0)
        dispatch = made.next(0.0)
        assert dispatch is not None
        made.finished(dispatch, latency_s=0.009, energy_j=0.045, now_s=0.0, handover_j=1.5e-3)
    assert dispatch.view.handover_j == 1.5e-3
    assert dispatch.plan(dispatch.requests[0]).expected_energy_j == pytest.approx(0.045)
