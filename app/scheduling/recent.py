"""Joules spent over the last second."""

from __future__ import annotations

import math
from collections import deque

_SLOTS = 20
_CLOCK_STEP_S = 1e-6  # added to every wait, so that rounding of the clock can't make it too short


class RecentJoules:
    """Adds up what was spent over a sliding window, in slots; bounded memory, constant time.

    A slot counts until all of it has left the window, so the sum is never too small.

    Args:
        window_s: How far back it looks.
    """

    __slots__ = ("_latest", "_slot_s", "_spent", "_total_j")

    def __init__(self, window_s: float = 1.0) -> None:
        self._slot_s = window_s / _SLOTS
        self._spent: deque[tuple[int, float]] = deque()
        self._total_j = 0.0
        self._latest = -(2**63)

    def record(self, energy_j: float, now_s: float) -> None:
        """Count joules that are spent now."""
        self._advance(now_s)
        spent = self._spent
        if spent and spent[-1][0] == self._latest:
            spent[-1] = (self._latest, spent[-1][1] + energy_j)
        else:
            spent.append((self._latest, energy_j))
        self._total_j += energy_j

    def joules(self, now_s: float) -> float:
        """Joules spent over the window that ends now."""
        self._advance(now_s)
        return self._total_j

    def falls_to_in_s(self, energy_j: float, now_s: float) -> float:
        """How long until the sum is down to ``energy_j`` (at least 0), if nothing is added."""
        left_j = self.joules(now_s)
        if left_j <= energy_j:
            return 0.0
        leaves_s = now_s
        for slot, spent_j in self._spent:
            leaves_s = (slot + _SLOTS + 1) * self._slot_s
            left_j -= spent_j
            if left_j <= energy_j:
                break
        return max(leaves_s - now_s, 0.0) + _CLOCK_STEP_S

    def _advance(self, now_s: float) -> None:
        """Let slots that left the window fall out; a clock that steps back moves nothing."""
        slot = math.floor(now_s / self._slot_s)
        if slot <= self._latest:
            return
        self._latest = slot
        spent = self._spent
        while spent and spent[0][0] < self._latest - _SLOTS:
            self._total_j -= spent.popleft()[1]
        if not spent:
            self._total_j = 0.0  # and with it what rounding left behind
