"""How pictures of the docs look; the same drawing always gives the same file."""

from __future__ import annotations

from typing import Any

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "svg.hashsalt": "sentryfuse",
    "svg.fonttype": "none",
}
OURS_COLOUR, RIVAL_COLOUR = "#0b7a75", "#d1495b"
