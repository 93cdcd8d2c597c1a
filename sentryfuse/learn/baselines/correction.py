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
from sentryfuse.learn.backbones.scales import UnitScales
from sentryfuse.learn.baselines.blocks import BlockTap, UnitBlock
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.reference import Reference
from sentryfuse.pruning import Mask, Moments, Projection, fit_scales, refit

Fit = Callable[[Moments, Projection, int], Projection | None]
"""From moments, present projection and unit width to the new one; None ends the walk."""

# Beyond this factor the authors distrust a tuned mask and leave the rest as it was.
_MAX_SCALE = 10.0


def least_squares(
    model: Backbone,
    calibration: Calibration,
    mask: Mask,
    reference: Reference | None = None,
    *,
    ridge: float = 1e-3,
) -> dict[str, Projection]:
    """Refit every output projection by ridge regression: an option for any method's mask.

    Args:
        model: Unpruned; left as it was.
        calibration: Labels are not read.
        mask: Which units stay, for which presence.
        reference: See :func:`walk`.
        ridge: See :func:`sentryfuse.pruning.refit`.

    Returns:
        Projections by the name of their linear layer.
    """

    def fit(moments: Moments, start: Projection, unit_width: int) -> Projection:
        return refit(moments, start, ridge)

    return walk(model, calibration, mask, fit, reference)


def mask_tuning(
    model: Backbone, calibration: Calibration, mask: Mask, reference: Reference | None = None
) -> dict[str, Projection]:
    """Scale every unit that stays, by least squares (Kwon et al. 2022, section 4.3).

    As in the authors' code, the first block whose scales leave [-10, 10] ends the tuning.
    """

    def fit(moments: Moments, start: Projection, unit_width: int) -> Projection | None:
        scales = fit_scales(moments, start, unit_width)
        if np.abs(scales).max() > _MAX_SCALE:
            return None
        return Projection(start.weight * np.repeat(scales, unit_width), start.bias)

    return walk(model, calibration, mask, fit, reference)


def walk(
    model: Backbone,
    calibration: Calibration,
    mask: Mask,
    fit: Fit,
    reference: Reference | None = None,
) -> dict[str, Projection]:
    """Fit every output projection that the presence computes, in the order of computation.

    Args:
        model: Unpruned; left as it was.
        calibration: Labels are not read.
        mask: Which units stay, for which presence.
        fit: From what arrives at a block to its new projection.
        reference: Of this model, these windows and the mask's presence, if there is one already.
    """
    reference = reference or Reference(model, calibration, mask.presence)
    projections: dict[str, Projection] = {}
    with torch.no_grad():
        pruned = model.select(mask.presence, mask.keep)
        feed = _Feed(pruned, reference)
        for stage in _stages(reference.blocks):
            for block, moments in _moments(feed, stage, reference).items():
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


class _Feed:
    """Runs only that part of a pruned model that a stage of blocks stands in.

    Blocks of a modality are its encoder's or belong to the fusion before which all encoders end;
    once the fusion is reached, no encoder changes any more.
    """

    def __init__(self, pruned: Backbone, reference: Reference) -> None:
        self.pruned = pruned
        self._reference = reference
        self._scales = UnitScales(pruned.inventory, None)
        self._encoded: list[dict[str, Tensor]] = []

    def run(self, stage: tuple[UnitBlock, ...], number: int) -> None:
        """Compute batch ``number`` as far as this stage needs it."""
        if all(block.path.startswith("encoders.") for block in stage):
            self.pruned.encode(self._reference.batches[number], self._scales)
            return
        if not self._encoded:
            self._encoded = [
                self.pruned.encode(inputs, self._scales) for inputs in self._reference.batches
            ]
        self.pruned.fuse(self._encoded[number], self._reference.presence, self._scales)


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


def _moments(
    feed: _Feed, stage: tuple[UnitBlock, ...], reference: Reference
) -> dict[UnitBlock, Moments]:
    """Return the moments of what arrives at each block and of what is still to be added."""
    moments: dict[UnitBlock, Moments] = {}
    with BlockTap(feed.pruned, stage) as tap:
        for number in range(len(reference.batches)):
            feed.run(stage, number)
            for block in stage:
                lacking = reference.streams[block][number] - tap.stream(block)
                seen = Moments.of(tap.units(block).numpy(), lacking.numpy())
                moments[block] = moments[block] + seen if block in moments else seen
    return moments


def _replace(model: nn.Module, block: UnitBlock, projection: Projection) -> None:
    linear = model.get_submodule(block.exit)
    assert isinstance(linear, nn.Linear)
    linear.weight.copy_(torch.from_numpy(projection.weight))
    linear.bias.copy_(torch.from_numpy(projection.bias))
