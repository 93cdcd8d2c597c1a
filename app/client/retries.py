"""Whether to try again, and when: a pure decision."""

from __future__ import annotations

from dataclasses import dataclass

from app.client.errors import ClientError, UnavailableError
from app.client.wire import Failure

_SPREAD = 0.1
"""Added to what the service asked for, so that those sent away together do not return together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how patiently a call is tried again.

    Only what can't do harm is repeated: what the service sent away (429, 503), what never reached
    it, and what was dropped before an answer began, if doing it twice is the same as once.
    """

    attempts: int = 4
    """Sendings in all; 1 for none but the first."""
    first_wait_s: float = 0.05
    """Doubled each time, and spread at random between half and whole."""
    longest_wait_s: float = 2.0
    heeds_retry_after: bool = True
    """Wait for as long as the service asks, where it does."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {self.attempts}")
        if not 0 <= self.first_wait_s <= self.longest_wait_s:
            raise ValueError(
                "waits must be 0 <= first_wait_s <= longest_wait_s, got "
                f"{self.first_wait_s:g} and {self.longest_wait_s:g}"
            )

    def wait_s(
        self,
        trouble: Failure | ClientError,
        *,
        attempt: int,
        left_s: float,
        chance: float,
        repeatable: bool = True,
    ) -> float | None:
        """Say how long to wait before the next sending; None to give up.

        Args:
            trouble: What came of the last one.
            attempt: Its number, from 1.
            left_s: What is left of the deadline; a wait that would use it up is not begun.
            chance: A random number in [0, 1).
            repeatable: Whether the call may be carried out twice.
        """
        if attempt >= self.attempts or not _is_safe(trouble, repeatable):
            return None
        asked_s = trouble.retry_after_s if isinstance(trouble, UnavailableError) else None
        if asked_s is not None and self.heeds_retry_after:
            wait_s = asked_s * (1 + _SPREAD * chance)
        else:
            doubled_s = self.first_wait_s * 2 ** min(attempt - 1, 30)
            wait_s = min(doubled_s, self.longest_wait_s) * (1 + chance) / 2
        return wait_s if wait_s < left_s else None


def _is_safe(trouble: Failure | ClientError, repeatable: bool) -> bool:
    if isinstance(trouble, Failure):
        return trouble.kind == "unreached" or (trouble.kind == "dropped" and repeatable)
    if trouble.status == 502:  # a proxy lost the service, perhaps while it worked
        return repeatable
    return isinstance(trouble, UnavailableError)
