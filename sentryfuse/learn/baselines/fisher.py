"""Fisher mask search and rearrangement (Kwon et al. 2022, arXiv 2204.09656, sections 4.1, 4.2).

Mask tuning, the third stage, is in ``correction.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from sentryfuse.errors import ConfigError
from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.saliency import scale_gradients
from sentryfuse.presence import Presence
from sentryfuse.pruning import Floors, removal_order
from sentryfuse.units import BoolArray, FloatArray, Inventory


class Fisher:
    """Diagonal of the empirical Fisher information of the units' factors."""

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score by the mean squared gradient of single labelled windows."""
        return self.rank(model, inventory, calibration, presence, generator).scores

    def rank(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FisherRanking:
        """Score, and keep what the rearrangement needs."""
        gradients = [
            scale_gradients(model, inputs, label, inventory.num_units)
            for inputs, label in calibration.batches(presence)
        ]
        return FisherRanking(inventory, torch.cat(gradients).double().numpy())


@dataclass(frozen=True, eq=False)
class FisherRanking:
    """Finds the mask of any ratio from the gradients of single windows.

    Args:
        inventory: Units of the model.
        gradients: By factors of units, ``[windows, num_units]``.
    """

    inventory: Inventory
    gradients: FloatArray

    @cached_property
    def scores(self) -> FloatArray:
        """Mean squared gradient, ``[num_units]``."""
        mean: FloatArray = np.square(self.gradients).mean(axis=0)
        return mean

    def keep(self, presence: Presence, ratio: float) -> BoolArray:
        """Search with the diagonal, then rearrange each layer with its block of the Fisher."""
        keep = search_mask(self.scores, self.inventory, presence, ratio)
        for layer in self.inventory.layers:
            if keep[layer.units].any():
                keep[layer.units] = rearrange(keep[layer.units], self.gradients[:, layer.units])
        return keep


def search_mask(
    scores: FloatArray, inventory: Inventory, presence: Presence, ratio: float
) -> BoolArray:
    """Keep the most Fisher information that fits the budget (Algorithm 1 there).

    For every number of heads that may go, as many channels go as the budget asks for; the best
    of these masks wins. Theirs are equal layers; where a unit of one layer costs more than of
    another, we go by information per FLOP, which is the same for equal costs.

    Args:
        scores: Diagonal of the Fisher information, ``[num_units]``.
        inventory: Units of the model.
        presence: Modalities that are present.
        ratio: Fraction of the prunable FLOPs to remove, [0, 1).

    Returns:
        Units that stay, ``[num_units]``; floors as everywhere.
    """
    if not 0.0 <= ratio < 1.0:
        raise ConfigError(f"pruning ratio must be in [0, 1), got {ratio}")
    keep = inventory.active(presence)
    flops = inventory.unit_flops(presence)
    worth = np.divide(scores, flops, out=np.zeros_like(scores), where=flops > 0)
    order = removal_order(worth, inventory, presence, Floors())
    heads, channels = order[inventory.is_head[order]], order[~inventory.is_head[order]]
    freed_heads, lost_heads = _running(flops, heads), _running(scores, heads)
    freed_channels, lost_channels = _running(flops, channels), _running(scores, channels)
    still_needed = ratio * flops.sum() - freed_heads
    counts = np.searchsorted(freed_channels, still_needed * (1 - 1e-12), side="left")
    if (counts > len(channels)).all():  # only floors are left
        keep[order] = False
        return keep
    possible = counts <= len(channels)
    lost = np.where(possible, lost_heads + lost_channels[np.minimum(counts, len(channels))], np.inf)
    best = int(lost.argmin())
    keep[heads[:best]] = False
    keep[channels[: counts[best]]] = False
    return keep


def rearrange(keep: BoolArray, gradients: FloatArray) -> BoolArray:
    """Swap units of one layer while that lowers the loss of information (section 4.2 there).

    The number that stay does not change. Starts from the least informative units removed; every
    other unit then takes the place of the removed one whose return helps most, if that helps.

    Args:
        keep: Units of one layer that stay, ``[units]``.
        gradients: Of single windows by their factors, ``[windows, units]``.

    Returns:
        Units that stay, ``[units]``.
    """
    count = int((~keep).sum())
    if count in (0, len(keep)):
        return keep
    information = gradients.T @ gradients
    own = np.diag(information)
    order = np.argsort(own, kind="stable")
    removed = np.zeros(len(keep), dtype=np.bool_)
    removed[order[:count]] = True
    shared = information[:, removed].sum(axis=1)
    for candidate in order[count:]:
        removed[candidate] = True
        shared += information[:, candidate]
        # With m the removed units, m^T F m falls by 2 (F m)_j - F_jj when unit j returns.
        back = int(np.where(removed, own - 2 * shared, np.inf).argmin())
        removed[back] = False
        shared -= information[:, back]
    return ~removed


def _running(values: FloatArray, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    """Sum of the first 0, 1, 2, ... values in this order."""
    return np.concatenate([[0.0], np.cumsum(values[order])])
