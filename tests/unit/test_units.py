from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.units import Inventory
from tests.bundles import small_spec


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return Inventory(small_spec())


def test_layers_tile_the_unit_vector_without_gaps(inventory: Inventory) -> None:
    covered = np.concatenate([np.arange(x.units.start, x.units.stop) for x in inventory.layers])
    assert covered.tolist() == list(range(inventory.num_units))


def test_an_absent_modality_costs_nothing(inventory: Inventory) -> None:
    without_first = Presence(0b11110, 5)
    flops = inventory.unit_flops(without_first)
    encoder = inventory["encoders.sensor_0.0.ffn"].units
    assert not flops[encoder].any()
    assert not inventory.active(without_first)[encoder].any()


def test_fusion_units_cost_less_when_fewer_tokens_come_in(inventory: Inventory) -> None:
    units = inventory["fusion.0.moe"].units
    few, all_five = Presence(1, 5), Presence.full(5)
    assert inventory.unit_flops(few)[units].max() < inventory.unit_flops(all_five)[units].min()


def test_removing_one_unit_saves_exactly_its_flops(inventory: Inventory) -> None:
    full = Presence.full(5)
    keep = inventory.active(full)
    before = inventory.cost(full, keep).flops
    for name in ("encoders.sensor_1.0.attention", "fusion.1.moe"):
        unit = inventory[name].offset
        keep[unit] = False
        saved = before - inventory.cost(full, keep).flops
        assert saved == inventory.unit_flops(full)[unit]
        keep[unit] = True


def test_an_emptied_group_saves_its_key_and_value_on_top(inventory: Inventory) -> None:
    full = Presence.full(5)
    layer = inventory["fusion.0.attention"]
    keep = inventory.active(full)
    before = inventory.cost(full, keep).flops
    keep[layer.offset : layer.offset + layer.group] = False
    saved = before - inventory.cost(full, keep).flops
    assert saved > inventory.unit_flops(full)[layer.units][: layer.group].sum()


def test_a_mask_of_another_model_is_refused(inventory: Inventory) -> None:
    with pytest.raises(MaskMismatchError, match="units"):
        inventory.cost(Presence.full(5), np.ones(3, dtype=np.bool_))


def test_an_unknown_backbone_is_refused() -> None:
    spec = small_spec()
    data = spec.to_json()
    data["backbone"]["kind"] = "perceiver"
    with pytest.raises(ConfigError, match="'perceiver'"):
        Inventory(type(spec).from_json(data))
