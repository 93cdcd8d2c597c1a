"""How fast one sensor may send: so many samples a second, in bursts."""

from __future__ import annotations


class Pace:
    """A bucket of samples that fills at a steady rate (token bucket).

    Args:
        rate_hz: Samples per second in the long run.
        burst: Samples that may come at once.
        now_s: The bucket is full at this time.
    """

    def __init__(self, rate_hz: float, burst: int, now_s: float) -> None:
        self.rate_hz = rate_hz
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def allows(self, samples: int, now_s: float) -> bool:
        """Whether so many may come now; does not take them."""
        self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.rate_hz)
        self._at_s = now_s
        return samples <= self._tokens

    def take(self, samples: int) -> None:
        """Let samples in that were allowed."""
        self._tokens -= samples
