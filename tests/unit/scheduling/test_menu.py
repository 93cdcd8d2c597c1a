from __future__ import annotations

import pytest

from app.scheduling.menu import Menu, Offer
from tests.unit.scheduling.ladder import costs


def of(offers: tuple[Offer, ...], permille: int, batch: int, cores: int = 1) -> Offer:
    (found,) = [
        o
        for o in offers
        if (o.option.permille, o.option.batch, o.option.cores) == (permille, batch, cores)
    ]
    return found


def test_one_request_is_offered_every_variant_the_most_accurate_first() -> None:
    offers = Menu(costs).offers((1,))

    assert [offer.option.permille for offer in offers] == [0, 500, 900]


def test_of_equal_accuracy_the_larger_batch_comes_first_for_it_takes_less_energy() -> None:
    offers = Menu(costs).offers((1, 1, 1))

    assert [o.option.batch for o in offers if o.option.permille == 0] == [3, 2, 1]


def test_a_batch_costs_each_window_its_share() -> None:
    offer = of(Menu(costs).offers((1, 1, 1, 1)), 900, 4)

    assert offer.latency_s == pytest.approx(5e-3)
    assert offer.core_s == pytest.approx(5e-3 / 4)
    assert offer.energy_j == pytest.approx(25e-3 / 4)


def test_the_head_pays_for_its_own_windows() -> None:
    offer = of(Menu(costs).offers((3, 1)), 900, 4)

    assert offer.requests == 2
    assert offer.energy_j == pytest.approx(25e-3 * 3 / 4)


def test_rows_shared_out_over_cores_take_less_time_and_more_core_time() -> None:
    offers = Menu(costs).offers((4,), cores=2)
    alone, shared = of(offers, 0, 4), of(offers, 0, 4, cores=2)

    assert alone.latency_s == pytest.approx(33e-3)
    assert shared.latency_s == pytest.approx(17e-3)
    assert shared.core_s == pytest.approx(2 * 17e-3 / 4)
    assert shared.option.energy_j == pytest.approx(2 * 85e-3)


def test_a_single_window_is_never_shared_out() -> None:
    assert {o.option.cores for o in Menu(costs).offers((1,), cores=2)} == {1}


def test_only_the_whole_line_is_shared_out_for_others_would_use_the_core() -> None:
    shared = [o for o in Menu(costs).offers((1, 1, 1), cores=2) if o.option.cores == 2]

    assert {offer.requests for offer in shared} == {3}


def test_only_the_ratios_asked_for_are_offered() -> None:
    offers = Menu(costs).offers((1,), permilles=frozenset({900}))

    assert [offer.option.permille for offer in offers] == [900]


def test_ratios_that_are_not_here_are_no_reason_to_offer_nothing() -> None:
    assert len(Menu(costs).offers((1,), permilles=frozenset({123}))) == 3


def test_bounds_for_admission_are_those_of_the_smallest_variant() -> None:
    menu = Menu(costs)

    assert menu.fastest_s(1, 1) == pytest.approx(2e-3)
    assert menu.least_core_s(8) == pytest.approx(9e-3 / 8)
    assert menu.least_window_j(8) == pytest.approx(45e-3 / 8)


def test_offers_are_made_once() -> None:
    menu = Menu(costs)

    assert menu.offers((1, 1)) is menu.offers([1, 1])
