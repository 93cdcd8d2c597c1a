"""What a model is made of: prunable units, layer by layer, and all that is never pruned.

Each backbone declares its parts once, in the module of its name; the inventory of units, the
costs and the names and shapes of the weights all follow from that.
"""

from sentryfuse.units.inventory import Inventory, layout_of
from sentryfuse.units.layout import BoolArray, Cost, FloatArray, Layout, Part, Rows, UnitLayer

__all__ = [
    "BoolArray",
    "Cost",
    "FloatArray",
    "Inventory",
    "Layout",
    "Part",
    "Rows",
    "UnitLayer",
    "layout_of",
]
