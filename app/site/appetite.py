"""How much power a node would draw if nothing held it back: an estimate that does not flutter."""

from __future__ import annotations

import math
from dataclasses import dataclass

_BUSY = 0.6  # of what the cap leaves above idle: from here on the cap may be what limits
_GROWTH = 1.5  # of what is drawn: how much more a node that is not limited may want at most
_HEADROOM = 1.15
_FADE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a node does, in watts above idle."""

    active_w: float
    """What it draws."""
    room_w: float
    """What its cap leaves."""
    asked_w: float
    """What it would draw if each request got the dearest variant there is."""


@dataclass(frozen=True, slots=True)
class Appetite:
    """Rises at once and fades over some seconds, so that loans do not follow every pause."""

    wanted_w: float = 0.0
    """Above idle."""

    def after(self, load: Load, elapsed_s: float) -> Appetite:
        """Take in how it is now.

        What is asked counts in full where the cap may be what limits. Else the node draws what it
        needs for its requests (deadlines may rule out the dearest variants), and a loan for more
        would lie idle.

        Args:
            load: What the node does.
            elapsed_s: Since the last time.
        """
        active_w, asked_w = _HEADROOM * load.active_w, _HEADROOM * load.asked_w
        limited = load.active_w >= _BUSY * load.room_w
        now_w = max(asked_w, active_w) if limited else min(asked_w, _GROWTH * load.active_w)
        faded_w = self.wanted_w * math.exp(-max(elapsed_s, 0.0) / _FADE_S)
        return Appetite(max(now_w, faded_w))
