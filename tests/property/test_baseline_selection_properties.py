from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the baselines need torch (extra: train)")

from sentryfuse.learn.baselines.fisher import search_mask
from sentryfuse.presence import Presence
from sentryfuse.pruning import select_jointly
from sentryfuse.units import BoolArray, Inventory
from tests.bundles import small_spec

INVENTORY = Inventory(small_spec())

presences = st.integers(1, 31).map(lambda bits: Presence(bits, 5))
ratios = st.floats(0.0, 0.99)
seeds = st.integers(0, 2**32 - 1)

Select = Callable[..., BoolArray]
selections = pytest.mark.parametrize("select", [search_mask, select_jointly])


def chosen(select: Select, seed: int, presence: Presence, ratio: float) -> BoolArray:
    scores = np.random.default_rng(seed).exponential(size=INVENTORY.num_units)
    return select(scores, INVENTORY, presence, ratio)


@selections
@settings(max_examples=40, deadline=None)
@given(seed=seeds, presence=presences, ratio=ratios)
def test_the_ratio_is_reached_unless_only_floors_are_left(
    select: Select, seed: int, presence: Presence, ratio: float
) -> None:
    keep = chosen(select, seed, presence, ratio)
    flops = INVENTORY.unit_flops(presence)
    floor = chosen(select, seed, presence, 0.999)
    removed = flops[~keep].sum() / flops.sum()
    assert removed >= ratio - 1e-9 or keep.sum() == floor.sum()


@selections
@settings(max_examples=40, deadline=None)
@given(seed=seeds, presence=presences, ratio=ratios)
def test_no_more_than_one_unit_goes_too_many(
    select: Select, seed: int, presence: Presence, ratio: float
) -> None:
    keep = chosen(select, seed, presence, ratio)
    flops = INVENTORY.unit_flops(presence)
    assert flops[~keep].sum() - ratio * flops.sum() <= flops.max() + 1e-6


@selections
@settings(max_examples=40, deadline=None)
@given(seed=seeds, presence=presences, ratio=ratios)
def test_every_layer_of_a_present_modality_keeps_its_floor(
    select: Select, seed: int, presence: Presence, ratio: float
) -> None:
    keep = chosen(select, seed, presence, ratio)
    active = INVENTORY.active(presence)
    for layer in INVENTORY.layers:
        assert keep[layer.units].any() == active[layer.units].any()
    assert not (keep & ~active).any()
