"""Who is expected to be late if a batch is run now: of those in it, and of those left behind."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from app.scheduling.menu import BATCHES

MOST_TOGETHER = BATCHES[-1]
"""Requests that any batch may hold."""
MOST_BEHIND = 16
"""Requests left behind that are looked at: what the next batch usually holds."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long each of those who wait can wait yet, when a core is free."""

    lane_s: Sequence[float] = ()
    """Slack of those who can share the head's batch, the most urgent first."""
    all_s: Sequence[float] = ()
    """Slack of all who wait, whatever their lane, the most urgent first."""
    next_core_s: float = math.inf
    """Until another core is free for those left behind; infinity if there is no other."""

    def late(self, requests: int, ends_s: float, window_s: float, handover_s: float) -> int:
        """How many are expected to be late.

        Those left behind, the first of them, are taken to be served together as soon as a
        core is free, by the same variant. That is rough, and the same for every offer.

        Args:
            requests: How many of the lane's first are in the batch.
            ends_s: When it ends, from now.
            window_s: Core time of each that is left behind.
            handover_s: Of a core between two batches.
        """
        late = bisect_left(self.lane_s, ends_s, 0, requests)
        behind = min(len(self.all_s) - requests, MOST_BEHIND)
        if behind > 0:
            served_s = min(ends_s, self.next_core_s) + handover_s + behind * window_s
            in_all = bisect_left(self.all_s, served_s, 0, requests + behind)
            in_batch = bisect_left(self.lane_s, served_s, 0, requests)
            late += max(in_all - in_batch, 0)
        return late


NOBODY = Waiting()
