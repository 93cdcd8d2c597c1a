"""Why Redis gave no usable answer: a closed set, for metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Failure = Literal["timeout", "busy", "unreachable", "tls", "authentication", "refused", "protocol"]
"""``busy``: not asked, for too many commands wait for an answer already; ``refused``: Redis is
there but will not (read-only, out of memory, no permission); ``protocol``: something else answers
at its address."""

OnFailure = Callable[[Failure], None]
"""Told of every command without a usable answer, so that metrics stay out of storage."""


def ignore_failure(failure: Failure) -> None:
    """Observe nothing."""
