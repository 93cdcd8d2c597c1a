from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sentryfuse.presence import Presence
from sentryfuse.units import Inventory
from tests.bundles import wearable_spec

pytest.importorskip("torch", reason="the grid trains")

from sentryfuse.bench.grid.models import smaller

FULL = Presence.full(5)


def flops(inventory: Inventory) -> int:
    return inventory.cost(FULL, np.ones(inventory.num_units, dtype=np.bool_)).flops


@pytest.mark.parametrize("kind", ["maestro", "flexmoe", "fusemoe"])
@pytest.mark.parametrize("ratio", [0.53, 0.8])
def test_a_small_model_has_the_flops_of_a_pruned_one(kind: str, ratio: float) -> None:
    spec = wearable_spec(kind)
    whole = Inventory(spec)
    prunable = whole.unit_flops(FULL).sum()

    small = Inventory(replace(spec, backbone=smaller(spec, ratio)))

    removed = (flops(whole) - flops(small)) / prunable
    assert removed == pytest.approx(ratio, abs=0.06)


def test_a_small_model_gives_up_heads_and_channels_alike() -> None:
    spec = wearable_spec()

    shape = smaller(spec, 0.53)

    heads = shape.num_heads / spec.backbone.num_heads
    assert shape.ffn_dim / spec.backbone.ffn_dim == pytest.approx(heads, abs=0.15)
    assert (shape.embed_dim, shape.num_kv_heads) == (96, spec.backbone.num_kv_heads)
