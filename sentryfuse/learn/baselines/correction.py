"""Corrections after pruning that go through the model block by block, without labels.

The unpruned model says what the residual stream should hold after each block. The pruned one is
walked from its input to its output; each block's output projection is refitted on what really
arrives there, earlier corrections included, so that errors do not add up.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.blocks import BlockTap, UnitBlock, unit_blocks
from sentryfuse.learn.baselines.calibration import Calibration, Inputs
from sentryfuse.pruning import Mask, Moments, Projection, fit_scales, refit

Fit = Callable[[Moments, Projection, int], Projection | None]
"""From moments, present projection and unit width to the new one; None ends the walk."""

# Beyond this factor the authors distrust a tuned mask and leave the rest as it was.
_MAX_SCALE = 10.0


def least_squares(
    model: Backbone, calibration: Calibration, mask: Mask, ridge: float = 1e-3
) -> dict[str, Projection]:
    """Refit every output projection by ridge regression: an option for any method's mask.

    Args:
        model: Unpruned; left as it was.
        calibration: Labels are not read.
        mask: Which units stay, for which presence.
        ridge: See :func:`sentryfuse.pruning.refit`.

    Returns:
        Projections by the name of their linear layer.
    """

    def fit(moments: Moments, start: Projection, unit_width: int) -> Projection:
        return refit(moments, start, ridge)

    return walk(model, calibration, mask, fit)


def mask_tuning(model: Backbone, calibration: Calibration, mask: Mask) -> dict[str, Projection]:
    """Scale every unit that stays, by least squares (Kwon et al. 2022, section 4.3).

    As in the authors' code, the first block whose scales leave [-10, 10] ends the tuning.
    """

    def fit(moments: Moments, start: Projection, unit_width: int) -> Projection | None:
        scales = fit_scales(moments, start, unit_width)
        if np.abs(scales).max() > _MAX_SCALE:
            return None
        return Projection(start.weight * np.repeat(scales, unit_width), start.bias)

    return walk(model, calibration, mask, fit)


def walk(model: Backbone, calibration: Calibration, mask: Mask, fit: Fit) -> dict[str, Projection]:
    """Fit every output projection that the presence computes, in the order of computation."""
    blocks = unit_blocks(model.inventory, mask.presence)
    batches = [inputs for inputs, _ in calibration.batches(mask.presence)]
    projections: dict[str, Projection] = {}
    with torch.no_grad():
        wanted = _streams_after(model, blocks, batches)
        pruned = model.select(mask.presence, mask.keep)
        for stage in _stages(blocks):
            for block, moments in _moments(pruned, stage, batches, wanted).items():
                keep = mask.keep[block.layer.units]
                start = block.projection(pruned)
                width = start.weight.shape[1] // int(keep.sum())
                fitted = fit(moments, start, width)
                if fitted is None:
                    return projections
                _replace(pruned, block, fitted)
                whole = block.projection(model).weight
                whole[:, np.repeat(keep, width)] = fitted.weight
                projections[block.exit] = Projection(whole, fitted.bias)
    return projections


def _stages(blocks: tuple[UnitBlock, ...]) -> list[tuple[UnitBlock, ...]]:
    """Group blocks that do not hear of one another: the first of each encoder, the second...

    Encoders stand side by side between blocks that work on the tokens of all modalities.
    """
    stages: list[tuple[UnitBlock, ...]] = []
    for shared, run in groupby(blocks, lambda block: block.layer.modality is None):
        if shared:
            stages += [(block,) for block in run]
            continue
        by_modality: dict[int | None, list[UnitBlock]] = {}
        for block in run:
            by_modality.setdefault(block.layer.modality, []).append(block)
        stages += [
            tuple(block for block in turn if block is not None)
            for turn in zip_longest(*by_modality.values())
        ]
    return stages


def _streams_after(
    model: nn.Module, blocks: tuple[UnitBlock, ...], batches: list[Inputs]
) -> dict[UnitBlock, list[Tensor]]:
    """Return the residual stream after each block, ``[rows, embed_dim]`` for each batch."""
    streams: dict[UnitBlock, list[Tensor]] = {block: [] for block in blocks}
    with BlockTap(model, blocks) as tap:
        for inputs in batches:
            model(inputs)
            for block in blocks:
                streams[block].append(tap.stream(block) + tap.output(block))
    return streams


def _moments(
    pruned: nn.Module,
    stage: tuple[UnitBlock, ...],
    batches: list[Inputs],
    wanted: dict[UnitBlock, list[Tensor]],
) -> dict[UnitBlock, Moments]:
    """Return the moments of what arrives at each block and of what is still to be added."""
    moments: dict[UnitBlock, Moments] = {}
    with BlockTap(pruned, stage) as tap:
        for number, inputs in enumerate(batches):
            pruned(inputs)
            for block in stage:
                lacking = wanted[block][number] - tap.stream(block)
                seen = Moments.of(tap.units(block).numpy(), lacking.numpy())
                moments[block] = moments[block] + seen if block in moments else seen
    return moments


def _replace(model: nn.Module, block: UnitBlock, projection: Projection) -> None:
    linear = model.get_submodule(block.exit)
    assert isinstance(linear, nn.Linear)
    linear.weight.copy_(torch.from_numpy(projection.weight))
    linear.bias.copy_(torch.from_numpy(projection.bias))
