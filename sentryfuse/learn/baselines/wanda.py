"""Wanda (Sun et al. 2024, arXiv 2306.11695), structured: weights times activations."""

from __future__ import annotations

import numpy as np
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.scorer import by_rank, layer_by_layer
from sentryfuse.learn.baselines.statistics import feature_statistics
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray, Inventory


def wanda_metric(weight: FloatArray, mean_square: FloatArray, unit_width: int) -> FloatArray:
    """Return |W_ij| * ||x_j||, mean over outputs i, sum over the features j of a unit.

    Args:
        weight: Output projection, ``[embed_dim, features]``.
        mean_square: Mean of x_j squared, ``[features]``.
        unit_width: Features of one unit.

    Returns:
        ``[units]``.
    """
    features: FloatArray = (np.abs(weight) * np.sqrt(mean_square)).mean(axis=0)
    units: FloatArray = features.reshape(-1, unit_width).sum(axis=1)
    return units


class Wanda:
    """Wanda's metric, aggregated per unit as by FLAP's authors (their ``Wanda-sp``).

    Wanda compares within a layer only; ranks do the same here, so that every layer gives up the
    same share. All layers are measured on the unpruned model, so that masks are nested; the
    authors prune layer by layer, each on the output of the pruned ones before it.
    """

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score by weights and unlabelled activations."""
        scores = np.zeros(inventory.num_units)
        for block, seen in feature_statistics(model, calibration, presence).items():
            weight = block.projection(model).weight
            scores[block.layer.units] = wanda_metric(
                weight, seen.mean_square, block.unit_width(model)
            )
        return layer_by_layer(scores, inventory, by_rank)
