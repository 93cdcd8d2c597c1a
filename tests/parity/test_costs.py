import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sentryfuse.learn.backbones import Backbone, build_backbone
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.units import Inventory
from tests.bundles import small_spec, wearable_spec
from tests.parity.twins import random_mask

SPECS = {
    "small": small_spec(),
    "shipped size": wearable_spec(),
    "sparse": small_spec(sparse_from=4, sparse_factor=1, max_tokens=12),
    "sparse, head by head": small_spec(
        sparse_from=4, sparse_factor=1, max_tokens=12, sparse_form="by_head"
    ),
    "no summary token": small_spec(summary_token=False),
    "rich summaries": small_spec(summary="rich"),
    "steps": small_spec(
        ((40, 2), (12, 3), (10, 1), (33, 2), (7, 1)),
        steps=4,
        summary="rich",
        standardise_summary=True,
    ),
    "gaps and rich summaries": small_spec(summary="rich", gaps=(0, 4), kind="flexmoe"),
    "gaps and a history": small_spec(
        summary="history", gaps=(0, 4), standardise_summary=True, feature_limit=3.0
    ),
    "two layers each": small_spec(encoder_layers=2, fusion_layers=2),
    "one expert per token": small_spec(experts_per_token=1),
    "flexmoe": small_spec(kind="flexmoe", experts_per_token=2),
    "flexmoe, shipped size": wearable_spec("flexmoe"),
    "flexmoe, the bank makes the fusion sparse": small_spec(
        kind="flexmoe", bank_tokens=6, sparse_from=20, sparse_factor=1
    ),
    "fusemoe": small_spec(kind="fusemoe", experts_per_token=2),
    "fusemoe, shipped size": wearable_spec("fusemoe"),
    "fusemoe, joint router": small_spec(kind="fusemoe", router="joint"),
    "fusemoe, disjoint routers": small_spec(
        kind="fusemoe", router="disjoint", num_experts=10, experts_per_token=2
    ),
}


def _counted_flops(model: Backbone, spec: ModelSpec, presence: Presence) -> int:
    windows = {
        m.name: torch.zeros(1, m.length, m.channels) for m in (spec.modalities[i] for i in presence)
    }
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(windows)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("bits", [0b11111, 0b00110, 0b10000])
@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_inventory_costs_what_the_sliced_model_costs(
    spec: ModelSpec, bits: int, keep: float
) -> None:
    inventory, presence = Inventory(spec), Presence(bits, 5)
    mask = random_mask(inventory, presence, keep=keep, seed=bits)
    sliced = build_backbone(spec).select(presence, mask.keep)

    cost = inventory.cost(presence, mask.keep)

    assert cost.flops == _counted_flops(sliced, spec, presence)
    assert cost.parameters == sum(p.numel() for p in sliced.parameters())
