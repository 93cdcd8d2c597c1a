"""A circuit breaker: stop asking a store that does not answer, and try again later."""

from __future__ import annotations

from sentryfuse.errors import ConfigError


class Breaker:
    """Opens after consecutive failures; after a cool-down lets one probe through at a time.

    Times are readings of one monotone clock, in seconds, passed in by the caller.

    Args:
        threshold: Failures in a row that open it.
        cooldown_s: How long it stays open before a probe. A probe that never reports back
            makes way for the next one after as long again.
    """

    def __init__(self, threshold: int = 5, cooldown_s: float = 5.0) -> None:
        if threshold < 1 or not cooldown_s > 0:
            raise ConfigError(
                f"a breaker needs threshold >= 1 and cooldown_s > 0, "
                f"got {threshold} and {cooldown_s}"
            )
        self._threshold = threshold
        self._cooldown_s = cooldown_s
        self._failures = 0
        self._retry_at_s: float | None = None

    @property
    def open(self) -> bool:
        """Whether calls are being held back (a probe may be under way)."""
        return self._retry_at_s is not None

    def allows(self, now_s: float) -> bool:
        """Say whether to make this call; the caller then reports how it went."""
        if self._retry_at_s is None:
            return True
        if now_s < self._retry_at_s:
            return False
        self._retry_at_s = now_s + self._cooldown_s
        return True

    def succeeded(self) -> None:
        """Report an answer: the breaker closes."""
        self._failures = 0
        self._retry_at_s = None

    def failed(self, now_s: float) -> None:
        """Report a call without an answer."""
        self._failures += 1
        if self._failures >= self._threshold:
            self._retry_at_s = now_s + self._cooldown_s
