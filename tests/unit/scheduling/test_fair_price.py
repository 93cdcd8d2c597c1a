from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import FairSlack, View
from app.scheduling.menu import Menu
from app.scheduling.types import Budget, Request
from tests.unit.scheduling.ladder import costs
from tests.unit.scheduling.test_price import menu


def view(of: Menu, **changes: Any) -> View:
    facts: dict[str, Any] = {
        "request": Request(id=0, group="a", budget=Budget(latency_s=1.0), received_s=0.0),
        "offers": of.offers((1,)),
        "menu": of,
        "slack_s": 1.0,
        "slowdown": 1.0,
        "margin": 0.0,
        "energy_factor": 1.0,
        "pace_s": math.inf,
        "allowance_j": math.inf,
        "idle_power_w": 3.0,
        "arrival_rate_hz": 1.0,
        "queued": 1,
    }
    return View(**(facts | changes))


@pytest.fixture
def steep() -> Menu:
    return menu((1, 0.5), (2, 0.9))


@pytest.fixture
def flat() -> Menu:
    return menu((1, 0.8), (2, 0.85))


def accuracy(policy: FairPrice, of: Menu, pace_ms: float) -> float:
    return policy.choose(view(of, pace_s=1e-3 * pace_ms)).accuracy


def test_scarce_core_time_goes_to_the_group_that_gains_most(steep: Menu, flat: Menu) -> None:
    policy = FairPrice()
    for _ in range(40):
        chosen = [accuracy(policy, each, pace_ms=1.45) for each in (steep, flat)]
    assert chosen == [0.9, 0.8]
    assert FairSlack().choose(view(steep, pace_s=1.45e-3)).accuracy == 0.5


def test_with_time_enough_everybody_gets_the_best(steep: Menu, flat: Menu) -> None:
    policy = FairPrice()
    for _ in range(40):
        chosen = [accuracy(policy, each, pace_ms=2.0) for each in (steep, flat)]
    assert chosen == [0.9, 0.85]


def test_nobody_takes_much_more_than_the_pace_however_much_it_gains(steep: Menu) -> None:
    assert accuracy(FairPrice(), steep, pace_ms=1.4) == 0.5


@given(
    served=st.lists(st.integers(1, 16), max_size=40),
    slack_ms=st.floats(0.5, 100),
    pace_ms=st.floats(0.1, 100),
    allowance_mj=st.floats(1, 1000),
    slowdown=st.floats(0.2, 5),
)
def test_what_is_chosen_fits_the_slack_and_the_joules_if_anything_does(
    served: list[int], slack_ms: float, pace_ms: float, allowance_mj: float, slowdown: float
) -> None:
    policy, of = FairPrice(), Menu(costs)
    for windows in served:
        policy.choose(view(of, offers=of.offers((1,) * windows), pace_s=5e-3))
    shown = view(
        of,
        offers=of.offers((1,) * 8),
        slack_s=1e-3 * slack_ms,
        pace_s=1e-3 * pace_ms,
        allowance_j=1e-3 * allowance_mj,
        slowdown=slowdown,
    )
    offer = policy.choose(shown)
    if any(map(shown.fits_slack, shown.offers)):
        assert shown.fits_slack(offer)
        if any(shown.fits_slack(o) and o.energy_j <= shown.allowance_j for o in shown.offers):
            assert offer.energy_j <= shown.allowance_j


@pytest.mark.parametrize("policy", [FairSlack(), FairPrice()])
def test_what_others_saved_buys_a_batch_a_better_variant(policy: FairSlack) -> None:
    of = Menu(costs)  # four windows: 165, 85 and 25 mJ
    facts = {"offers": of.offers((1,) * 4), "allowance_j": 7e-3}

    def chosen(surplus_j: float) -> tuple[int, int]:
        offer = policy.choose(view(of, **facts, surplus_j=surplus_j))
        return offer.option.permille, offer.requests

    assert chosen(0.0) == (900, 4)
    assert chosen(0.020)[0] == 500
    assert chosen(0.060)[0] == 0


@given(slack_ms=st.floats(0.5, 100), slowdown=st.floats(0.2, 5), margin=st.floats(0, 1))
def test_where_nobody_waits_it_chooses_as_fair_slack(
    slack_ms: float, slowdown: float, margin: float
) -> None:
    shown = view(Menu(costs), slack_s=1e-3 * slack_ms, slowdown=slowdown, margin=margin)
    assert FairPrice().choose(shown) == FairSlack().choose(shown)
