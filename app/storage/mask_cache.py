"""What every mask cache promises, and what it tells about each look-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from app.storage.keys import MaskKey
from sentryfuse.pruning import Mask

Tier = Literal["memory", "redis", "gate"]
Outcome = Literal["hit", "miss", "error", "corrupt", "foreign", "open"]
"""``corrupt``: a value that is not a mask of this key; ``foreign``: one that another version of
the software wrote; ``open``: not asked, the breaker is open."""

OnOutcome = Callable[[Tier, Outcome], None]
"""Told of every look-up, so that metrics stay out of storage."""


def ignore_outcome(tier: Tier, outcome: Outcome) -> None:
    """Observe nothing."""


class MaskCache(Protocol):
    """Masks by key; losing one costs time, never an answer.

    No method raises for a store that is down, slow, full, read-only or lying.
    """

    async def get(self, key: MaskKey) -> Mask | None:
        """Return the mask, or None where it is not to be had."""
        ...

    async def put(self, key: MaskKey, mask: Mask) -> None:
        """Keep a mask if there is room for it."""
        ...

    async def preload(self, keys: Iterable[MaskKey]) -> dict[MaskKey, Mask]:
        """Return those of the masks that are there, all at once."""
        ...

    async def close(self) -> None:
        """Let go of connections; the cache is not used afterwards."""
        ...
