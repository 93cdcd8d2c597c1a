"""What every pruning method answers: how much each unit matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray, Inventory


class Scorer(Protocol):
    """Scores units of a trained model; the least important go first."""

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score every unit.

        Args:
            model: Trained, unpruned; in evaluation mode and left as it was.
            inventory: Its units.
            calibration: The only data that a method may look at.
            presence: What the score is for.
            generator: The only source of chance.

        Returns:
            ``[num_units]``, each layer's slice in the inventory's order; finite everywhere,
            and of no meaning for units that ``presence`` lacks.
        """
        ...


def layer_by_layer(
    scores: FloatArray, inventory: Inventory, normalise: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Apply ``normalise`` to each layer's scores by themselves."""
    out = np.zeros_like(scores)
    for layer in inventory.layers:
        out[layer.units] = normalise(scores[layer.units])
    return out


def by_mean(scores: FloatArray) -> FloatArray:
    """Divide by the layer's mean (Torch-Pruning's default, Fang et al. 2023)."""
    return scores / max(float(scores.mean()), np.finfo(np.float64).tiny)


def by_length(scores: FloatArray) -> FloatArray:
    """Divide by the layer's Euclidean length (Molchanov et al. 2017, Eq. 8)."""
    return scores / max(float(np.linalg.norm(scores)), np.finfo(np.float64).tiny)


def by_rank(scores: FloatArray) -> FloatArray:
    """Replace by the rank within the layer, (0, 1]: every layer gives up the same share."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks / len(scores)


def by_deviation(scores: FloatArray) -> FloatArray:
    """Standardise within the layer: mean 0, deviation 1."""
    deviation = max(float(scores.std(ddof=1)), np.finfo(np.float64).tiny)
    standard: FloatArray = (scores - scores.mean()) / deviation
    return standard
