from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryfuse.presence import Presence
from sentryfuse.pruning import Floors, select_units
from sentryfuse.units import BoolArray, Inventory
from tests.bundles import small_spec

INVENTORY = Inventory(small_spec())

presences = st.integers(1, 31).map(lambda bits: Presence(bits, 5))
ratios = st.floats(0.0, 0.99)
seeds = st.integers(0, 2**32 - 1)


def select(seed: int, presence: Presence, ratio: float) -> BoolArray:
    scores = np.random.default_rng(seed).random(INVENTORY.num_units)
    return select_units(scores, INVENTORY, presence, ratio)


@settings(max_examples=60, deadline=None)
@given(seeds, presences, ratios)
def test_the_ratio_is_reached_unless_only_floors_are_left(
    seed: int, presence: Presence, ratio: float
) -> None:
    keep = select(seed, presence, ratio)
    flops = INVENTORY.unit_flops(presence)
    removed = flops[~keep].sum() / flops.sum()
    floor = select(seed, presence, 0.999)
    assert removed >= ratio - 1e-9 or np.array_equal(keep, floor)


@settings(max_examples=60, deadline=None)
@given(seeds, presences, ratios)
def test_heads_and_channels_each_give_up_the_ratio_or_all_but_their_floors(
    seed: int, presence: Presence, ratio: float
) -> None:
    keep, floor = select(seed, presence, ratio), select(seed, presence, 0.999)
    flops = INVENTORY.unit_flops(presence)
    for kind in (INVENTORY.is_head, ~INVENTORY.is_head):
        removed = flops[kind & ~keep].sum() / flops[kind].sum()
        assert removed >= ratio - 1e-9 or np.array_equal(keep[kind], floor[kind])


@settings(max_examples=60, deadline=None)
@given(seeds, presences, ratios)
def test_no_more_than_one_unit_of_each_kind_goes_too_many(
    seed: int, presence: Presence, ratio: float
) -> None:
    keep = select(seed, presence, ratio)
    flops = INVENTORY.unit_flops(presence)
    heads, channels = (flops[k].max() for k in (INVENTORY.is_head, ~INVENTORY.is_head))
    assert flops[~keep].sum() - ratio * flops.sum() <= heads + channels + 1e-6


@settings(max_examples=60, deadline=None)
@given(seeds, presences, ratios, ratios)
def test_masks_are_nested(seed: int, presence: Presence, a: float, b: float) -> None:
    less, more = select(seed, presence, min(a, b)), select(seed, presence, max(a, b))
    assert not (more & ~less).any()


@settings(max_examples=60, deadline=None)
@given(seeds, presences, ratios)
def test_every_layer_of_a_present_modality_keeps_its_floor(
    seed: int, presence: Presence, ratio: float
) -> None:
    keep = select(seed, presence, ratio)
    for layer in INVENTORY.layers:
        present = layer.modality is None or layer.modality in presence
        assert keep[layer.units].any() == present


@settings(max_examples=30, deadline=None)
@given(seeds, presences)
def test_nothing_goes_at_ratio_zero(seed: int, presence: Presence) -> None:
    np.testing.assert_array_equal(select(seed, presence, 0.0), INVENTORY.active(presence))


@settings(max_examples=30, deadline=None)
@given(presences, ratios)
def test_equal_scores_give_the_same_mask_every_time(presence: Presence, ratio: float) -> None:
    scores = np.full(INVENTORY.num_units, 0.5)
    first = select_units(scores, INVENTORY, presence, ratio, Floors())
    np.testing.assert_array_equal(first, select_units(scores, INVENTORY, presence, ratio, Floors()))
