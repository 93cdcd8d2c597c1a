"""What stays: masks as data, and the selection that makes them."""

from sentryfuse.pruning.mask import Mask, permille
from sentryfuse.pruning.selection import Floors, removal_order, select_units

__all__ = ["Floors", "Mask", "permille", "removal_order", "select_units"]
