"""What the node draws when it has nothing to do: stated, or learnt from the meter."""

from __future__ import annotations

import math

from sentryfuse.errors import ConfigError

# Shorter windows mistake the ripple of a sensor for rest.
WINDOW_S = 2.0


class IdlePower:
    """The lowest mean power over any window of two seconds or more since the meter was opened.

    A window in which the meter was at fault does not count: energy may be missing from it. Before
    the first window the default stands. Idle power that rises later (a screen, a new disk) is not
    noticed; state it in the settings where that matters.

    Args:
        given_w: Idle power stated by the operator; nothing is learnt then.
        default_w: What to say before anything is learnt.
        window_s: Shortest window.

    Raises:
        ConfigError: A power is negative or not finite.
    """

    def __init__(
        self, given_w: float | None, *, default_w: float = 0.0, window_s: float = WINDOW_S
    ) -> None:
        power_w = default_w if given_w is None else given_w
        if not 0 <= power_w < math.inf:
            raise ConfigError(f"idle_power_w must be finite and at least 0, got {power_w}")
        self._learns = given_w is None
        self._power_w = power_w
        self._lowest_w = math.inf
        self._window_s = window_s
        self._start: tuple[float, float, int] | None = None  # joules, seconds, faults

    @property
    def power_w(self) -> float:
        """The estimate so far."""
        return self._power_w

    def update(self, total_j: float, now_s: float, faults: int) -> None:
        """Take in the meter's sum.

        Args:
            total_j: Joules since the meter was opened.
            now_s: When, on a monotone clock.
            faults: How many faults were met so far.
        """
        if not self._learns:
            return
        if self._start is None or self._start[2] != faults:
            self._start = (total_j, now_s, faults)
        elif now_s - self._start[1] >= self._window_s:
            mean_w = (total_j - self._start[0]) / (now_s - self._start[1])
            if 0 < mean_w < self._lowest_w:
                self._power_w = self._lowest_w = mean_w
            self._start = (total_j, now_s, faults)
