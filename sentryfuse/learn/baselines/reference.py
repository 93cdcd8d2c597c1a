"""What the unpruned model does with the calibration windows of one presence, found out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.blocks import BlockTap, UnitBlock, unit_blocks
from sentryfuse.learn.baselines.calibration import Calibration, Inputs
from sentryfuse.learn.baselines.statistics import FeatureStatistics, feature_statistics
from sentryfuse.presence import Presence


@dataclass(frozen=True, eq=False)
class Reference:
    """Serves the corrections of every mask of a presence, as long as the model stays as it is.

    Args:
        model: Unpruned.
        calibration: Labels are not read.
        presence: Modalities that the model reads.
    """

    model: Backbone
    calibration: Calibration
    presence: Presence

    @cached_property
    def blocks(self) -> tuple[UnitBlock, ...]:
        """Blocks that the presence computes, in the order of computation."""
        return unit_blocks(self.model.inventory, self.presence)

    @cached_property
    def batches(self) -> list[Inputs]:
        """The windows, a few at a time."""
        return [inputs for inputs, _ in self.calibration.batches(self.presence)]

    @cached_property
    def statistics(self) -> dict[UnitBlock, FeatureStatistics]:
        """Of what each block's output projection reads."""
        return feature_statistics(self.model, self.calibration, self.presence)

    @cached_property
    def streams(self) -> dict[UnitBlock, list[Tensor]]:
        """Residual stream after each block, ``[rows, embed_dim]`` for each batch."""
        streams: dict[UnitBlock, list[Tensor]] = {block: [] for block in self.blocks}
        with torch.no_grad(), BlockTap(self.model, self.blocks) as tap:
            for inputs in self.batches:
                self.model(inputs)
                for block in self.blocks:
                    streams[block].append(tap.stream(block) + tap.output(block))
        return streams
