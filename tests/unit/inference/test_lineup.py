from __future__ import annotations

import pytest

from app.inference.lineup import menu_of
from tests.unit.lineups import ALL, Held, lineup


def offered(made: object, windows: int = 1) -> set[int]:
    return {o.option.permille for o in menu_of(made).offers((windows,))}


def test_only_what_is_in_memory_is_offered() -> None:
    assert offered(lineup({0, 900})) == {0, 900}
    assert lineup().complete
    assert not lineup({0, 900}).complete


def test_options_are_all_ratios_wherever_they_are() -> None:
    options = lineup({900}).options(3)
    assert {o.permille for o in options} == ALL
    assert {o.batch for o in options} == {3}


def test_a_variant_that_comes_or_goes_changes_the_menu() -> None:
    registry = Held({900})
    made = lineup(registry=registry)
    assert offered(made) == {900}
    registry.permilles = {0, 500}
    made.refresh()
    assert offered(made) == {0, 500}


def test_the_last_variant_stays_on_offer_for_those_who_wait() -> None:
    registry = Held({500})
    made = lineup(registry=registry)
    registry.permilles = set()
    made.refresh()
    assert offered(made) == {500}
    assert made.use(500) is made.residents[500]


def test_options_of_many_sizes_do_not_pile_up() -> None:
    made = lineup()
    for windows in range(1, 500):
        made.options(windows)
    assert made.options(7)[0].latency_s == pytest.approx(0.07)
    assert len(made._prices._options) < 100
