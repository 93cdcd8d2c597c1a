"""Joules as tokens: what may be spent now, refilled at a steady rate."""

from __future__ import annotations

import math

_CLOCK_STEP_S = 1e-6  # added to every wait, so that rounding of the clock can't make it too short


class EnergyBucket:
    """A token bucket of joules that admits on prediction and settles on measurement.

    Tokens stay within ``[-debt_j, capacity_j]`` whatever is called in whatever order. Over any
    interval T at most ``capacity_j + rate_w * T`` joules are spent, refunds put aside. It starts
    full; a clock that steps back refills nothing and takes nothing away.

    Args:
        rate_w: Joules refilled per second.
        capacity_j: Most joules that it holds.
        debt_j: How far settling may take the tokens below zero.
        now_s: The time now, on the clock of all later calls.

    Raises:
        ValueError: A quantity is negative or not finite.
    """

    __slots__ = (
        "_capacity_j",
        "_debt_j",
        "_now_s",
        "_overrun_j",
        "_rate_w",
        "_tokens_j",
        "_wasted_j",
    )

    def __init__(self, *, rate_w: float, capacity_j: float, debt_j: float, now_s: float) -> None:
        self._rate_w = _checked("rate_w", rate_w)
        self._capacity_j = _checked("capacity_j", capacity_j)
        self._debt_j = _checked("debt_j", debt_j)
        self._now_s = now_s
        self._tokens_j = capacity_j
        self._overrun_j = 0.0
        self._wasted_j = 0.0

    @property
    def rate_w(self) -> float:
        """Joules refilled per second."""
        return self._rate_w

    @property
    def capacity_j(self) -> float:
        """Most joules that it holds."""
        return self._capacity_j

    @property
    def overrun_j(self) -> float:
        """Joules measured beyond prediction that the debt had no room for; only grows."""
        return self._overrun_j

    @property
    def wasted_j(self) -> float:
        """Refill that found the bucket full; only grows, and stands still while it binds."""
        return self._wasted_j

    def tokens_j(self, now_s: float) -> float:
        """Joules that may be spent now; below zero it is a debt."""
        elapsed_s = now_s - self._now_s
        if elapsed_s > 0.0:
            self._now_s = now_s
            tokens_j = self._tokens_j + self._rate_w * elapsed_s
            if tokens_j > self._capacity_j:
                self._wasted_j += tokens_j - self._capacity_j
                tokens_j = self._capacity_j
            self._tokens_j = tokens_j
        return self._tokens_j

    def affords(self, energy_j: float, now_s: float) -> bool:
        """Whether so much can be spent now."""
        return energy_j <= self.tokens_j(now_s)

    def spend(self, energy_j: float, now_s: float) -> None:
        """Take predicted joules out.

        Raises:
            ValueError: The bucket holds less, or the energy is negative or not a number.
        """
        tokens_j = self.tokens_j(now_s)
        if not 0.0 <= energy_j <= tokens_j:
            raise ValueError(f"energy_j must be from 0 to the {tokens_j} J held, got {energy_j}")
        self._tokens_j = tokens_j - energy_j

    def borrow(self, energy_j: float, now_s: float) -> None:
        """Take more out of a full bucket than it holds; refill pays it back before all else.

        Raises:
            ValueError: The bucket isn't full, or the debt has no room for so much.
        """
        tokens_j = self.tokens_j(now_s)
        most_j = self._capacity_j + self._debt_j
        if tokens_j < self._capacity_j:
            raise ValueError(f"only a full bucket lends: {tokens_j} J of {self._capacity_j} J held")
        if not 0.0 <= energy_j <= most_j:
            raise ValueError(f"energy_j must be from 0 to {most_j} J, got {energy_j}")
        self._tokens_j = max(tokens_j - energy_j, -self._debt_j)

    def settle(self, predicted_j: float, measured_j: float, now_s: float) -> None:
        """Replace a prediction that was spent by what was measured.

        Too much is given back, too little is taken; what the debt has no room for is counted in
        :attr:`overrun_j`, for the meter sees it and the governor must make up for it.

        Raises:
            ValueError: A quantity is negative or not finite.
        """
        if not (0.0 <= predicted_j < math.inf and 0.0 <= measured_j < math.inf):
            raise ValueError(
                f"predicted_j and measured_j must be finite and at least 0, "
                f"got {predicted_j} and {measured_j}"
            )
        self._tokens_j = self.tokens_j(now_s) + (predicted_j - measured_j)
        self._clip()

    def affordable_in_s(self, energy_j: float, now_s: float) -> float:
        """How long until so much can be spent, if nothing else is; inf above the capacity."""
        missing_j = energy_j - self.tokens_j(now_s)
        if missing_j <= 0.0:
            return 0.0
        if not energy_j <= self._capacity_j or self._rate_w == 0.0:
            return math.inf
        return missing_j / self._rate_w + _CLOCK_STEP_S

    def set_rate(self, rate_w: float, now_s: float) -> None:
        """Refill at another rate from now on."""
        _checked("rate_w", rate_w)
        self.tokens_j(now_s)
        self._rate_w = rate_w

    def resize(self, capacity_j: float, debt_j: float, now_s: float) -> None:
        """Hold and owe at most so much from now on; tokens above the capacity are lost."""
        _checked("capacity_j", capacity_j)
        _checked("debt_j", debt_j)
        self.tokens_j(now_s)
        self._capacity_j = capacity_j
        self._debt_j = debt_j
        self._clip()

    def _clip(self) -> None:
        if self._tokens_j > self._capacity_j:
            self._tokens_j = self._capacity_j
        elif self._tokens_j < -self._debt_j:
            self._overrun_j -= self._debt_j + self._tokens_j
            self._tokens_j = -self._debt_j


def _checked(name: str, value: float) -> float:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and at least 0, got {value}")
    return value
