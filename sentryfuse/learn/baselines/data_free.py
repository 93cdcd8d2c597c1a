"""Methods that need nothing but the weights, or not even those."""

from __future__ import annotations

import numpy as np
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.blocks import unit_blocks
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.scorer import by_mean, layer_by_layer
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray, Inventory


class Random:
    """Uniform scores; report the mean over several generators."""

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Draw every score from [0, 1)."""
        drawn: FloatArray = torch.rand(
            inventory.num_units, generator=generator, dtype=torch.float64
        ).numpy()
        return drawn


class Magnitude:
    """Euclidean length of the weights that leave with a unit, relative to its layer's mean.

    A head's are its query rows and output columns; keys and values are its group's and stay. A
    channel's are its row in and its column out (group magnitude, Fang et al. 2023).
    """

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score by weights alone."""
        scores = np.zeros(inventory.num_units)
        for block in unit_blocks(inventory):
            entry = block.entry_weight(model).double().square().sum(dim=1)
            exit_ = block.exit_weight(model).double().square().sum(dim=(0, 2))
            scores[block.layer.units] = (entry + exit_).sqrt().numpy()
        return layer_by_layer(scores, inventory, by_mean)
