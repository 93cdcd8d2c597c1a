"""What a connection may do before its request has been read, as figures and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CloseReason = Literal[
    "full", "client_full", "head_timeout", "body_timeout", "head_too_large", "malformed", "stuck"
]
Phase = Literal["idle", "head", "body", "closing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds on connections, in number, time and bytes."""

    most: int
    """Connections at once."""
    most_of_client: int
    """Connections at once from one address; 0 for no limit of their own."""
    head_s: float
    """From the first byte of a request, or the opening of a connection, to the end of the head."""
    body_s: float
    """From there to the end of the body."""
    head_bytes: int
    """Request line and headers; checked as they come, so that one that never ends is not kept."""

    def refusal(self, others: int, others_of_client: int) -> CloseReason | None:
        """Say why another connection may not be opened; None if it may.

        Args:
            others: Connections that are open.
            others_of_client: Those of them that are from the same address.
        """
        if others >= self.most:
            return "full"
        if self.most_of_client and others_of_client >= self.most_of_client:
            return "client_full"
        return None

    def overdue(self, phase: Phase, seconds: float) -> CloseReason | None:
        """Say why a connection must be closed after so long in one phase; None if it may stay."""
        if phase == "head" and seconds > self.head_s:
            return "head_timeout"
        if phase == "body" and seconds > self.body_s:
            return "body_timeout"
        if phase == "closing" and seconds > self.body_s:
            return "stuck"
        return None
