"""How a node stands in its site, for people and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Outcome = Literal["agreed", "contended", "unavailable", "newer"]
"""Of a round. ``contended``: others wrote first, time and again; ``newer``: another release's
ledger; ``unavailable``: the store gave no usable answer."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReading:
    """How a node stands."""

    site: str
    node: str
    cap_w: float
    """Of the site."""
    guaranteed_w: float
    """Of it, to all nodes together."""
    share_w: float
    """Of that, to this node."""
    lent_w: float
    """Above the share, usable now."""
    lent_for_s: float
    """How long that may be used if it is not renewed."""
    demand_w: float
    """What the node would draw if nothing held it back."""
    pool_w: float
    """What the site can lend in all."""
    nodes: int
    """Heard of in the last round, this one included."""
    in_touch: bool
    """Whether the last round was agreed."""
    rounds: Mapping[str, int]
    """By outcome, since the start."""
