"""A circuit breaker: stop asking a store that does not answer until it answers again."""

from __future__ import annotations

from sentryfuse.errors import ConfigError


class Breaker:
    """Opens after consecutive failures; whoever finds the store well again closes it.

    It never lets a request through to try: that is done beside requests, so that none of them
    waits for a store that is down.

    Args:
        threshold: Failures in a row that open it.
    """

    def __init__(self, threshold: int = 5) -> None:
        if threshold < 1:
            raise ConfigError(f"a breaker needs threshold >= 1, got {threshold}")
        self._threshold = threshold
        self._failures = 0

    @property
    def open(self) -> bool:
        """Whether calls are being held back."""
        return self._failures >= self._threshold

    def succeeded(self) -> None:
        """Report an answer: the breaker closes."""
        self._failures = 0

    def failed(self) -> None:
        """Report a call without an answer."""
        self._failures += 1

    def trip(self) -> None:
        """Open at once."""
        self._failures = self._threshold
