"""When a change of the processor's frequency is worth it."""

from __future__ import annotations

import math
from typing import Literal

PowerClass = Literal["low", "medium", "high"]
"""How much of the processor's range the work of late can use."""

_SHARES: dict[PowerClass, float] = {"low": 0.4, "medium": 0.7, "high": 1.0}
_MEDIUM_FROM, _LOW_FROM = 0.35, 0.7
_TRANSITIONS = 1000
"""A change must pay for so many transitions: N of SparseDVFS's T > N x T_switch."""


def power_class(mean_ratio: float) -> PowerClass:
    """The class of work with this mean pruning ratio.

    Sparse work waits for memory more than for the core and loses little at a lower frequency;
    dense work is bound by the core (SparseDVFS, arXiv 2603.21908).

    Args:
        mean_ratio: Mean pruning ratio of the variants run of late, in [0, 1).
    """
    if mean_ratio >= _LOW_FROM:
        return "low"
    return "medium" if mean_ratio >= _MEDIUM_FROM else "high"


class FrequencyGovernor:
    """Asks for another frequency cap only when the class of the work has persisted.

    SparseDVFS merges operators until a block lasts N times as long as a switch. Here the class
    of the whole load takes the place of a block: it must have been the same for the dwell time,
    which is at least N transitions, and between two changes lies at least one dwell time too.
    The answer is a share of the processor's own range, for cores of one chip may differ in it.

    Args:
        transition_latency_s: How long one change takes, as the processor's driver states it.
        now_s: The time now, on the clock of all later calls.
        dwell_s: The shortest dwell time.

    Raises:
        ValueError: A time is negative or not finite.
    """

    def __init__(self, *, transition_latency_s: float, now_s: float, dwell_s: float = 5.0) -> None:
        for name, value in (("transition_latency_s", transition_latency_s), ("dwell_s", dwell_s)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value}")
        self.dwell_s = max(dwell_s, _TRANSITIONS * transition_latency_s)
        self._current: PowerClass = "high"
        self._candidate: PowerClass = "high"
        self._since_s = now_s

    @property
    def current(self) -> PowerClass:
        """The class that was asked for last; ``high``, which caps nothing, at first."""
        return self._current

    @property
    def share(self) -> float:
        """Where the cap lies between the least (0) and the highest frequency (1)."""
        return _SHARES[self._current]

    def update(self, chosen: PowerClass, now_s: float) -> float | None:
        """Take in the class of the work of late.

        Returns:
            The share to cap at from now on; None if nothing is to change.
        """
        if chosen != self._candidate:
            self._candidate = chosen
            self._since_s = now_s
        elif chosen != self._current and now_s - self._since_s >= self.dwell_s:
            self._current = chosen
            self._since_s = now_s
            return self.share
        return None
