"""How fast windows arrive right now: a forecast for the next few milliseconds."""

from __future__ import annotations

import math


class LoadForecast:
    """Exponentially weighted arrival rate, in constant time and space.

    Unlike :class:`app.scheduling.ArrivalRate`, which judges power over seconds, this one follows
    a burst.

    Args:
        memory_s: Time constant.
    """

    def __init__(self, memory_s: float = 0.5) -> None:
        self._memory_s = memory_s
        self._rate_hz = 0.0
        self._weight = 0.0
        self._at_s: float | None = None

    def record(self, now_s: float, windows: int = 1) -> None:
        """Count windows that arrive now."""
        self._fade(now_s)
        self._rate_hz += windows / self._memory_s

    def rate_hz(self, now_s: float) -> float:
        """Windows per second; in the first moments, over the time there has been."""
        self._fade(now_s)
        return self._rate_hz / self._weight if self._weight > 0.1 else self._rate_hz

    def _fade(self, now_s: float) -> None:
        if self._at_s is None:
            self._at_s = now_s
        elapsed_s = now_s - self._at_s
        if elapsed_s > 0:
            kept = math.exp(-elapsed_s / self._memory_s)
            self._rate_hz *= kept
            self._weight = 1 - kept * (1 - self._weight)
            self._at_s = now_s
