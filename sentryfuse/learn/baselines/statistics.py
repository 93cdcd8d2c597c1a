"""Mean and second moment of every unit feature on calibration windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.blocks import BlockTap, UnitBlock, unit_blocks
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Over all tokens of all windows, for what one block's output projection reads.

    Args:
        count: Tokens.
        mean: ``[features]``.
        mean_square: ``[features]``.
    """

    count: int
    mean: FloatArray
    mean_square: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Sample variance, ``[features]``."""
        spread = np.maximum(self.mean_square - self.mean**2, 0.0)
        return spread * self.count / max(self.count - 1, 1)


def feature_statistics(
    model: Backbone, calibration: Calibration, presence: Presence
) -> dict[UnitBlock, FeatureStatistics]:
    """Measure every block that ``presence`` computes, on the unpruned model."""
    blocks = unit_blocks(model.inventory, presence)
    counts = dict.fromkeys(blocks, 0)
    sums: dict[UnitBlock, FloatArray] = {}
    squares: dict[UnitBlock, FloatArray] = {}
    with torch.no_grad(), BlockTap(model, blocks) as tap:
        for inputs, _ in calibration.batches(presence):
            model(inputs)
            for block in blocks:
                x = tap.units(block).double()
                counts[block] += len(x)
                sums[block] = sums.get(block, 0.0) + x.sum(dim=0).numpy()
                squares[block] = squares.get(block, 0.0) + x.square().sum(dim=0).numpy()
    return {
        block: FeatureStatistics(n, sums[block] / n, squares[block] / n)
        for block, n in counts.items()
    }
