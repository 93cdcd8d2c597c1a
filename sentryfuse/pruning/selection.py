"""From scores and a ratio to the units that stay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.units import BoolArray, Inventory


@dataclass(frozen=True, slots=True)
class Floors:
    """What every layer keeps, whatever the ratio, so that no layer falls silent."""

    min_heads: int = 1
    min_channel_fraction: float = 1 / 64

    def __post_init__(self) -> None:
        if self.min_heads < 1 or not 0 < self.min_channel_fraction <= 1:
            raise ConfigError(f"floors must keep at least one unit per layer, got {self}")


def removal_order(
    scores: NDArray[np.floating], inventory: Inventory, presence: Presence, floors: Floors
) -> NDArray[np.int64]:
    """Units that may go for this presence, least important first.

    Ties go to the lower index, so the order is the same on every host.

    Raises:
        MaskMismatchError: ``scores`` is not of length ``num_units``.
    """
    if scores.shape != (inventory.num_units,):
        raise MaskMismatchError(f"expected {inventory.num_units} scores, got {scores.shape}")
    removable = inventory.active(presence)
    for layer in inventory.layers:
        floor = (
            floors.min_heads
            if layer.kind == "head"
            else math.ceil(layer.count * floors.min_channel_fraction)
        )
        best = np.argsort(-scores[layer.units], kind="stable")[:floor]
        removable[layer.offset + best] = False
    order = np.argsort(scores, kind="stable")
    return order[removable[order]]


def select_units(
    scores: NDArray[np.floating],
    inventory: Inventory,
    presence: Presence,
    ratio: float,
    floors: Floors | None = None,
) -> BoolArray:
    """Keep the most important units that fit into ``1 - ratio`` of the prunable compute.

    Heads and channels each give up at least ``ratio`` of their FLOPs, in ascending order of
    score; where one kind comes to its floors before that, the other makes up for it. For fixed
    scores the result is nested: what a higher ratio keeps, every lower ratio keeps too.

    Args:
        scores: Importance of each unit, ``[num_units]``.
        inventory: The model's units.
        presence: Modalities that are present; units of absent ones never stay.
        ratio: Fraction of the prunable FLOPs to remove, [0, 1).
        floors: What every layer keeps.

    Returns:
        Units that stay, ``[num_units]``.
    """
    if not 0.0 <= ratio < 1.0:
        raise ConfigError(f"pruning ratio must be in [0, 1), got {ratio}")
    keep = inventory.active(presence)
    order = removal_order(scores, inventory, presence, floors or Floors())
    flops = inventory.unit_flops(presence)
    for kind in (inventory.is_head, ~inventory.is_head):
        keep[_first_worth(order[kind[order]], flops, ratio * flops[kind].sum())] = False
    short = ratio * flops.sum() - flops[~keep].sum()
    keep[_first_worth(order[keep[order]], flops, short)] = False
    return keep


def select_jointly(
    scores: NDArray[np.floating],
    inventory: Inventory,
    presence: Presence,
    ratio: float,
    floors: Floors | None = None,
) -> BoolArray:
    """As :func:`select_units`, but with heads and channels in one order of scores.

    For methods whose authors rank them against each other (docs/baselines.md).
    """
    if not 0.0 <= ratio < 1.0:
        raise ConfigError(f"pruning ratio must be in [0, 1), got {ratio}")
    keep = inventory.active(presence)
    order = removal_order(scores, inventory, presence, floors or Floors())
    flops = inventory.unit_flops(presence)
    keep[_first_worth(order, flops, ratio * flops.sum())] = False
    return keep


def _first_worth(
    order: NDArray[np.int64], flops: NDArray[np.float64], target: float
) -> NDArray[np.int64]:
    """Return the shortest beginning of ``order`` that costs ``target`` FLOPs, or all of it."""
    if target <= 0:
        return order[:0]
    count = int(np.searchsorted(np.cumsum(flops[order]), target, side="left")) + 1
    return order[:count]
