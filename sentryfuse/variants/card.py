"""What a variant costs and what it is expected to achieve, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.units import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantCard:
    """One variant's costs, per sample, and its expected accuracy.

    The kept ratios compare with the unpruned variant of the same presence.
    """

    presence: Presence
    permille: int
    """Pruning ratio, in thousandths."""
    mask_digest: str
    flops: int
    """Multiply-accumulates x 2 of the sliced model."""
    parameters: int
    memory_bytes: int
    """Size of the serialised graph."""
    expected_accuracy: float
    """Accuracy on validation data, [0, 1]."""
    units_kept_ratio: float
    parameters_kept_ratio: float
    bytes_kept_ratio: float
    flops_kept_ratio: float


def write_card(
    bundle: Bundle, inventory: Inventory, mask: Mask, *, memory_bytes: int, dense_bytes: int
) -> VariantCard:
    """Fill in the card of a mask.

    Args:
        bundle: The model.
        inventory: The model's units.
        mask: Units that stay.
        memory_bytes: Size of the mask's graph.
        dense_bytes: Size of the unpruned graph of the same presence.
    """
    active = inventory.active(mask.presence)
    cost = inventory.cost(mask.presence, mask.keep)
    dense = inventory.cost(mask.presence, active)
    return VariantCard(
        presence=mask.presence,
        permille=mask.permille,
        mask_digest=mask.digest,
        flops=cost.flops,
        parameters=cost.parameters,
        memory_bytes=memory_bytes,
        expected_accuracy=bundle.accuracy.expected(mask.presence, mask.permille),
        units_kept_ratio=float((mask.keep & active).sum() / active.sum()),
        parameters_kept_ratio=cost.parameters / dense.parameters,
        bytes_kept_ratio=memory_bytes / dense_bytes,
        flops_kept_ratio=cost.flops / dense.flops,
    )
