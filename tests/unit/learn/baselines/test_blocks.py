from __future__ import annotations

import numpy as np
import pytest
import torch

from sentryfuse.learn.baselines.blocks import BlockTap, unit_blocks
from tests.unit.learn.baselines.toys import BACKBONES, BOTH_ENDS, toy_model, toy_windows


@pytest.mark.parametrize("shape", BACKBONES.values(), ids=BACKBONES)
def test_what_a_block_reads_and_says_is_what_it_projects(shape: dict[str, object]) -> None:
    model = toy_model(**shape)
    inputs, _ = next(toy_windows(model.spec).batches(BOTH_ENDS))
    blocks = unit_blocks(model.inventory, BOTH_ENDS)
    with torch.no_grad(), BlockTap(model, blocks) as tap:
        model(inputs)
        for block in blocks:
            projection = block.projection(model)
            expected = tap.units(block).numpy() @ projection.weight.T + projection.bias
            np.testing.assert_allclose(tap.output(block), expected, atol=1e-12)
            assert tap.stream(block).shape == tap.output(block).shape


def test_a_tap_shows_the_units_of_a_pruned_model_too() -> None:
    model = toy_model()
    inputs, _ = next(toy_windows(model.spec).batches(BOTH_ENDS))
    keep = model.inventory.active(BOTH_ENDS)
    keep[model.inventory["fusion.0.moe"].units][3:] = False
    block = unit_blocks(model.inventory)[-1]
    pruned = model.select(BOTH_ENDS, keep)
    with torch.no_grad(), BlockTap(pruned, (block,)) as narrow, BlockTap(model, (block,)) as wide:
        pruned(inputs)
        model(inputs)
        torch.testing.assert_close(narrow.units(block), wide.units(block)[:, :3])


def test_blocks_of_absent_modalities_are_left_out() -> None:
    model = toy_model()
    modalities = {b.layer.modality for b in unit_blocks(model.inventory, BOTH_ENDS)}
    assert modalities == {0, 2, None}
    assert len(unit_blocks(model.inventory)) == len(model.inventory.layers)


def test_a_tap_leaves_no_hook_behind() -> None:
    model = toy_model()
    with BlockTap(model, unit_blocks(model.inventory)):
        pass
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
