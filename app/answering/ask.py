"""A request as the service sees it, free of HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.inference.windows import Windows
from app.scheduling import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one request wants, and what it has cost so far."""

    windows: Windows
    budget: Budget
    received_s: float
    """When its last byte was read, on the service's clock."""
    waited_s: float = 0.0
    """How long after that it waited for its turn to be parsed."""
    parse_cpu_s: float = 0.0
    """CPU time spent on reading it."""
    cascade: float | None = None
    """The confidence at which the answer of a smaller variant will do; None asks for one answer
    by the best variant that fits."""
    gone: Callable[[], Awaitable[None]] | None = None
    """Returns when nobody waits for the answer any more."""
    watch: Callable[[Callable[[], None] | None], None] | None = None
    """Has a function called when nobody waits any more, or none: as ``gone``, without a task."""
    has_left: Callable[[], bool] = lambda: False
    """Whether nobody does; told at once."""
