"""How often one caller may ask: a token bucket for each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

MAX_CALLERS = 4096
_OVERFLOW = ""


class RateLimiter:
    """Grants each caller a steady rate and a burst (a leaky bucket as a meter: GCRA).

    A caller is one number: the time at which its bucket is full again. Who has a full bucket is
    as one who never came, and is forgotten. Should more callers than there is room for be active
    at once, the newcomers among them share one bucket: a flood from many addresses can neither
    fill the memory nor reset anybody's bucket.

    Args:
        rate_hz: Requests per second, in the long run.
        burst: Requests at once, after a pause.
        max_callers: Buckets that are kept.
    """

    def __init__(self, rate_hz: float, burst: int, *, max_callers: int = MAX_CALLERS) -> None:
        self._interval_s = 1.0 / rate_hz
        self._tolerance_s = (burst - 1) * self._interval_s
        self._max_callers = max_callers
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_s)

    def take(self, caller: str, now_s: float) -> float:
        """Take one request out of a caller's bucket.

        Args:
            caller: Who asks.
            now_s: Monotone seconds.

        Returns:
            0 if it is granted; else the seconds after which one will be.
        """
        if caller not in self._full_at_s and len(self._full_at_s) >= self._max_callers:
            self._forget(now_s)
            if len(self._full_at_s) >= self._max_callers:
                caller = _OVERFLOW
        full_at_s = max(self._full_at_s.get(caller, now_s), now_s)
        wait_s = full_at_s - now_s - self._tolerance_s
        if wait_s > 0:
            return wait_s
        self._full_at_s[caller] = full_at_s + self._interval_s
        self._full_at_s.move_to_end(caller)
        return 0.0

    def _forget(self, now_s: float) -> None:
        """Drop full buckets, from the one that was used longest ago on."""
        while self._full_at_s:
            caller, full_at_s = next(iter(self._full_at_s.items()))
            if full_at_s > now_s:
                return
            del self._full_at_s[caller]
