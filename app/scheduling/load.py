"""What arrives right now: a forecast for the next few milliseconds."""

from __future__ import annotations

import math

_MOST_BUDGET_S = 0.1  # nobody queues longer for the accuracy of others, whatever it may spend
_LEAST_BUDGET_S = 1e-3
_BUDGET_WEIGHT = 1 / 32
_LEAST_WEIGHT = 0.1  # a rate is not judged over less than a tenth of the time constant


class LoadForecast:
    """Exponentially weighted arrival rate and latency budget, in constant time and space.

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
        self.budget_s = _MOST_BUDGET_S
        """Mean of the latest latency budgets, each counted as a tenth of a second at most."""

    def record(self, now_s: float, windows: int = 1, budget_s: float = math.inf) -> None:
        """Count windows that arrive now, with so much time left for an answer."""
        first = self._at_s is None
        self._fade(now_s)
        if not first:  # one arrival says nothing of the next
            self._rate_hz += windows / self._memory_s
        budget_s = min(max(budget_s, _LEAST_BUDGET_S), _MOST_BUDGET_S)
        self.budget_s += (1.0 if first else _BUDGET_WEIGHT) * (budget_s - self.budget_s)

    def rate_hz(self, now_s: float) -> float:
        """Windows per second; in the first moments, over the time there has been."""
        self._fade(now_s)
        return self._rate_hz / max(self._weight, _LEAST_WEIGHT)

    def _fade(self, now_s: float) -> None:
        if self._at_s is None:
            self._at_s = now_s
        elapsed_s = now_s - self._at_s
        if elapsed_s > 0:
            kept = math.exp(-elapsed_s / self._memory_s)
            self._rate_hz *= kept
            self._weight = 1 - kept * (1 - self._weight)
            self._at_s = now_s
