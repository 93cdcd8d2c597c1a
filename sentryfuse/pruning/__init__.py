"""What stays: masks as data, the selection that makes them, and what follows a removal."""

from sentryfuse.pruning.compensation import (
    Moments,
    Projection,
    absorb_means,
    corrected_weights,
    fit_scales,
    refit,
)
from sentryfuse.pruning.mask import MASK_VERSION, Mask, permille, stored_version
from sentryfuse.pruning.selection import Floors, removal_order, select_jointly, select_units

__all__ = [
    "MASK_VERSION",
    "Floors",
    "Mask",
    "Moments",
    "Projection",
    "absorb_means",
    "corrected_weights",
    "fit_scales",
    "permille",
    "refit",
    "removal_order",
    "select_jointly",
    "select_units",
    "stored_version",
]
