"""FLAP (An et al. 2024, arXiv 2312.11983): remove what fluctuates little, keep its mean as bias."""

from __future__ import annotations

import numpy as np
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.reference import Reference
from sentryfuse.learn.baselines.scorer import by_deviation
from sentryfuse.learn.baselines.statistics import feature_statistics
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask, Projection, absorb_means
from sentryfuse.units import FloatArray, Inventory


def fluctuation(weight: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the variance of each feature times the squared length of its output column.

    Args:
        weight: Output projection, ``[embed_dim, features]``.
        variance: Over tokens, ``[features]``.
    """
    metric: FloatArray = variance * np.square(weight).sum(axis=0)
    return metric


class Flap:
    """Fluctuations, standardised within each layer so that heads and channels compare.

    As in the authors' code, a head's features are squared before they are standardised, and
    averaged after. Statistics are of the unpruned model.
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
            features = fluctuation(block.projection(model).weight, seen.variance)
            if block.layer.kind == "head":
                features = np.square(features)
            standard = by_deviation(features)
            scores[block.layer.units] = standard.reshape(block.layer.count, -1).mean(axis=1)
        return scores


def bias_compensation(
    model: Backbone, calibration: Calibration, mask: Mask, reference: Reference | None = None
) -> dict[str, Projection]:
    """Return output projections whose biases hold the mean output of the removed units.

    Args:
        model: Unpruned.
        calibration: Labels are not read.
        mask: Which units stay, for which presence.
        reference: Of this model, these windows and the mask's presence, if there is one already.
    """
    reference = reference or Reference(model, calibration, mask.presence)
    projections = {}
    for block, seen in reference.statistics.items():
        keep = np.repeat(mask.keep[block.layer.units], block.unit_width(model))
        projections[block.exit] = absorb_means(block.projection(model), seen.mean, keep)
    return projections
