"""How many requests arrive per second, as observed over a sliding window."""

from __future__ import annotations

import math
from collections import deque

_SLOTS = 100


class ArrivalRate:
    """Counts arrivals in the slots of a sliding window; bounded memory, constant time.

    Times are readings of one monotone clock, in seconds, passed in by the caller.

    Args:
        window_s: How far back the rate looks.
    """

    def __init__(self, window_s: float = 10.0) -> None:
        if not (math.isfinite(window_s) and window_s >= 1.0):
            raise ValueError(f"window_s must be at least 1 second, got {window_s}")
        self._slot_s = window_s / _SLOTS
        self._counts: deque[tuple[int, int]] = deque()
        self._in_window = 0
        self._first_s: float | None = None
        self._latest_slot = 0

    def record(self, now_s: float, count: int = 1) -> None:
        """Count requests that arrive now."""
        if self._first_s is None:
            self._first_s = now_s
            self._latest_slot = self._slot(now_s)
        self._advance(now_s)
        if self._counts and self._counts[-1][0] == self._latest_slot:
            slot, counted = self._counts.pop()
            self._counts.append((slot, counted + count))
        else:
            self._counts.append((self._latest_slot, count))
        self._in_window += count

    def rate_hz(self, now_s: float) -> float:
        """Mean arrivals per second over the window, or since the first one if that is shorter.

        Never judged over less than one second.
        """
        if self._first_s is None:
            return 0.0
        self._advance(now_s)
        window_starts_s = (self._latest_slot - _SLOTS + 1) * self._slot_s
        span_s = now_s - max(window_starts_s, self._first_s)
        return self._in_window / max(span_s, 1.0)

    def _slot(self, now_s: float) -> int:
        return math.floor(now_s / self._slot_s)

    def _advance(self, now_s: float) -> None:
        """Let slots that left the window fall out; a clock that steps back moves nothing."""
        self._latest_slot = max(self._latest_slot, self._slot(now_s))
        while self._counts and self._counts[0][0] <= self._latest_slot - _SLOTS:
            self._in_window -= self._counts.popleft()[1]
