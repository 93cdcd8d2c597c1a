"""The batches that hold cores, and when they are expected to end."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Batch:
    end_s: float
    group: Hashable
    windows: int


class Running:
    """What runs, by the first request of each batch."""

    def __init__(self) -> None:
        self._batches: dict[int, _Batch] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def begin(self, first_id: int, *, end_s: float, group: Hashable, windows: int) -> None:
        """Note a batch that is expected to end at a time."""
        self._batches[first_id] = _Batch(end_s, group, windows)

    def end(self, first_id: int) -> None:
        """Forget a batch.

        Raises:
            KeyError: It does not run.
        """
        del self._batches[first_id]

    def busy_s(self, now_s: float) -> float:
        """Time that all of them are expected to take yet, added up."""
        return sum(max(batch.end_s - now_s, 0.0) for batch in self._batches.values())

    def next_end_s(self, now_s: float) -> float:
        """Time until the next of them is expected to end; infinity if nothing runs."""
        ends_s = (batch.end_s for batch in self._batches.values())
        return max(min(ends_s, default=math.inf) - now_s, 0.0)

    def largest(self, group: Hashable) -> int:
        """Windows of the largest batch of a group; 0 if none of it runs."""
        return max((b.windows for b in self._batches.values() if b.group == group), default=0)
