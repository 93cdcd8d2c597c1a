from __future__ import annotations

import pytest

from app.scheduling.menu import Menu
from app.scheduling.price import CoreTimePrice
from app.scheduling.types import VariantCost


def menu(*points: tuple[float, float]) -> Menu:
    """Variants as (milliseconds for each window, expected accuracy)."""

    def costs(windows: int) -> list[VariantCost]:
        return [
            VariantCost(
                permille=1000 - rank,
                flops=rank,
                latency_s=1e-3 * each_ms * windows,
                energy_j=0.0,
                expected_accuracy=accuracy,
                batch=windows,
            )
            for rank, (each_ms, accuracy) in enumerate(points, start=1)
        ]

    return Menu(costs)


def price_of(mix: dict[Menu, int]) -> CoreTimePrice:
    price = CoreTimePrice(memory_windows=1e9)
    for _ in range(16):  # up to the next look at the mix
        for each, windows in mix.items():
            price.record(each, windows)
    return price


def test_before_anything_was_served_core_time_is_free() -> None:
    assert CoreTimePrice().at(0.001) == 0.0


def test_the_price_is_what_the_next_better_variant_gains_for_its_time() -> None:
    price = price_of({menu((1, 0.5), (2, 0.8), (4, 0.9)): 1})
    assert price.at(0.0015) == pytest.approx(0.3 / 0.001)
    assert price.at(0.0025) == pytest.approx(0.1 / 0.002)
    assert price.at(0.004) == 0.0


def test_time_goes_first_to_the_group_that_gains_most() -> None:
    steep, flat = menu((1, 0.5), (2, 0.9)), menu((1, 0.8), (3, 0.9))
    price = price_of({steep: 1, flat: 1})
    # The mean is 1 ms at least, 1.5 ms with the steep group's step, 2.5 ms with both.
    assert price.at(0.0014) == pytest.approx(0.4 / 0.001)
    assert price.at(0.0016) == pytest.approx(0.1 / 0.002)
    assert price.at(0.0026) == 0.0


def test_groups_count_by_the_windows_that_they_were_served() -> None:
    steep, flat = menu((1, 0.5), (2, 0.9)), menu((1, 0.8), (3, 0.9))
    price = price_of({steep: 9, flat: 1})
    assert price.at(0.0016) == pytest.approx(0.4 / 0.001)


def test_a_variant_below_the_hull_has_no_step_of_its_own() -> None:
    price = price_of({menu((1, 0.5), (2, 0.51), (3, 0.9)): 1})
    assert price.at(0.0011) == price.at(0.0029) == pytest.approx(0.4 / 0.002)


def test_a_larger_variant_that_is_no_better_is_never_paid_for() -> None:
    price = price_of({menu((1, 0.5), (2, 0.5), (3, 0.4)): 1})
    assert price.at(0.001) == 0.0


def test_what_was_served_long_ago_is_forgotten() -> None:
    old, new = menu((1, 0.5), (2, 0.9)), menu((1, 0.8), (3, 0.9))
    price = CoreTimePrice(memory_windows=8.0)
    price.record(old, 1)
    for _ in range(160):
        price.record(new, 1)
    assert price.at(0.001) == pytest.approx(0.1 / 0.002)


def test_a_group_that_is_replaced_leaves_the_mix() -> None:
    old, new = menu((1, 0.5), (2, 0.9)), menu((1, 0.8), (3, 0.9))
    price = CoreTimePrice(memory_windows=1e9)
    price.record(old, 1000)
    del old
    for _ in range(32):
        price.record(new, 1)
    assert price.at(0.001) == pytest.approx(0.1 / 0.002)
