from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.units import Inventory, Rows
from sentryfuse.variants.weights import weight_shapes
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


def test_rows_are_counted_for_what_is_there_and_what_is_not() -> None:
    rows = Rows(present=(4, 5, 6), absent=(1, 1, 1), always=10)
    assert rows.count(Presence(0b101, 3)) == 10 + 4 + 6 + 1
    assert Rows(always=1, only="complete").count(Presence(0b101, 3)) == 0
    assert Rows(always=1, only="incomplete").count(Presence(0b101, 3)) == 1
    assert Rows(always=1, only="incomplete").count(Presence.full(3)) == 0


def test_the_tokens_of_the_bank_are_computed_and_counted() -> None:
    two, four = (Inventory(small_spec(kind="flexmoe", bank_tokens=n)) for n in (2, 4))
    alone = Presence(1, 5)
    layers = [inventory["fusion.0.attention"] for inventory in (two, four)]
    tokens = [i.tokens(x, alone) for i, x in zip((two, four), layers, strict=True)]
    assert tokens[1] - tokens[0] == 4 * 2  # four modalities are absent
    costs = [i.cost(alone, i.active(alone)).flops for i in (two, four)]
    assert costs[0] < costs[1]
    complete = [i.cost(Presence.full(5), i.active(Presence.full(5))).flops for i in (two, four)]
    assert complete[0] == complete[1]


@pytest.mark.parametrize("router", ["joint", "per_modality", "disjoint"])
def test_an_absent_modality_costs_fusemoe_nothing(router: str) -> None:
    shapes = ((12, 3), (10, 2), (7, 1), (12, 3), (9, 2))
    experts = {"router": router, "num_experts": 10, "experts_per_token": 2}
    whole = Inventory(small_spec(shapes, kind="fusemoe", **experts))
    presence = Presence(0b00011, 5)
    one_modality_only = Inventory(
        small_spec(
            shapes[:2],
            kind="fusemoe",
            **{**experts, "num_experts": 4} if router == "disjoint" else experts,
        )
    )
    here = whole.cost(presence, whole.active(presence))
    there = one_modality_only.cost(Presence.full(2), one_modality_only.active(Presence.full(2)))
    assert here == there


def test_a_model_of_ten_modalities_stays_small() -> None:
    """The bank of Flex-MoE alone would hold 1023 x 10 entries."""

    def size(kind: str) -> int:
        spec = small_spec(((64, 3),) * 10, kind=kind, embed_dim=96, head_dim=16)
        return sum(int(np.prod(shape)) for shape in weight_shapes(spec).values())

    entries = 1023 * 10 * 2 * 96
    assert size("flexmoe") - size("maestro") < 0.1 * entries
    assert size("fusemoe") - size("maestro") < 0.1 * entries
