from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError
from sentryfuse.learn.baselines.fisher import FisherRanking, rearrange, search_mask
from sentryfuse.presence import Presence
from sentryfuse.pruning import Floors, removal_order
from sentryfuse.units import BoolArray, FloatArray, Inventory
from tests.unit.learn.baselines.toys import BOTH_ENDS, toy_spec

INVENTORY = Inventory(toy_spec())
FULL = Presence.full(3)
SCORES = np.random.default_rng(0).exponential(size=INVENTORY.num_units)


def lost(keep: BoolArray, gradients: FloatArray) -> float:
    """Loss of information m^T F m of the removed units m."""
    return float(np.square(gradients[:, ~keep].sum(axis=1)).sum())


def test_units_that_cancel_one_another_go_together() -> None:
    gradients = np.array([[2.0, -2.1, 1.9], [-2.0, 2.1, 1.9]])
    diagonal_choice = np.array([False, True, False])  # the smallest two of 8, 8.82, 7.22
    np.testing.assert_array_equal(rearrange(diagonal_choice, gradients), [False, False, True])


@pytest.mark.parametrize("seed", range(5))
def test_rearranging_never_loses_more_and_keeps_as_many(seed: int) -> None:
    gradients = np.random.default_rng(seed).normal(size=(30, 7))
    gradients[:, 3] = -gradients[:, 5] + 0.01
    order = np.square(gradients).sum(axis=0).argsort()
    keep = np.ones(7, dtype=np.bool_)
    keep[order[:3]] = False
    better = rearrange(keep, gradients)
    assert better.sum() == 4
    assert lost(better, gradients) <= lost(keep, gradients)


@pytest.mark.parametrize("keep", [[True, True], [False, False]])
def test_a_layer_with_nothing_to_swap_stays(keep: list[bool]) -> None:
    np.testing.assert_array_equal(rearrange(np.array(keep), np.ones((3, 2))), keep)


def test_the_search_tries_every_number_of_heads() -> None:
    flops, ratio = INVENTORY.unit_flops(BOTH_ENDS), 0.6
    worth = np.divide(SCORES, flops, out=np.zeros_like(SCORES), where=flops > 0)
    order = removal_order(worth, INVENTORY, BOTH_ENDS, Floors())
    heads, channels = order[INVENTORY.is_head[order]], order[~INVENTORY.is_head[order]]
    best = np.inf
    for num_heads in range(len(heads) + 1):
        gone = list(heads[:num_heads])
        rest = iter(channels)
        while flops[gone].sum() < ratio * flops.sum() and (unit := next(rest, None)) is not None:
            gone.append(unit)
        if flops[gone].sum() >= ratio * flops.sum():
            best = min(best, SCORES[gone].sum())
    keep = search_mask(SCORES, INVENTORY, BOTH_ENDS, ratio)
    gone = INVENTORY.active(BOTH_ENDS) & ~keep
    assert SCORES[gone].sum() == pytest.approx(best)


def test_worthless_heads_go_before_any_channel() -> None:
    scores = np.where(INVENTORY.is_head, 0.0, 1.0)
    keep = search_mask(scores, INVENTORY, FULL, 0.1)
    assert keep[~INVENTORY.is_head].all()
    assert not keep[INVENTORY.is_head].all()


def test_nothing_goes_at_ratio_zero_and_floors_stay_at_the_end() -> None:
    np.testing.assert_array_equal(
        search_mask(SCORES, INVENTORY, BOTH_ENDS, 0.0), INVENTORY.active(BOTH_ENDS)
    )
    keep = search_mask(SCORES, INVENTORY, FULL, 0.999)
    assert all(keep[layer.units].sum() == 1 for layer in INVENTORY.layers)
    with pytest.raises(ConfigError, match=r"1\.0"):
        search_mask(SCORES, INVENTORY, FULL, 1.0)


def test_the_ranking_searches_with_the_diagonal_and_then_rearranges() -> None:
    gradients = np.random.default_rng(1).normal(size=(20, INVENTORY.num_units))
    ranking = FisherRanking(INVENTORY, gradients)
    searched = search_mask(ranking.scores, INVENTORY, BOTH_ENDS, 0.5)
    keep = ranking.keep(BOTH_ENDS, 0.5)
    assert not np.array_equal(keep, searched)
    for layer in INVENTORY.layers:
        units = layer.units
        assert keep[units].sum() == searched[units].sum()
        assert lost(keep[units], gradients[:, units]) <= lost(searched[units], gradients[:, units])
