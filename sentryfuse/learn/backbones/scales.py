"""Factors on the units of a model, looked up by layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sentryfuse.units import Inventory


@dataclass(frozen=True, slots=True)
class UnitScales:
    """A factor for each unit.

    Args:
        inventory: Order of the units.
        scale: ``[num_units]`` or ``[batch, num_units]``; None leaves every unit as it is.
    """

    inventory: Inventory
    scale: Tensor | None

    def __getitem__(self, layer: str) -> Tensor | None:
        """Return one layer's factors, ``[batch or 1, units]``."""
        if self.scale is None:
            return None
        return self.scale.view(-1, self.scale.shape[-1])[:, self.inventory[layer].units]
