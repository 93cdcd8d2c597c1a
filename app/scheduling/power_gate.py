"""The node's power cap as the scheduler sees it: may these joules be spent now?"""

from __future__ import annotations

import math

from app.scheduling.bucket import EnergyBucket
from app.scheduling.governor import Governor
from app.scheduling.recent import RecentJoules

_SECOND = 1.0  # a lone request is judged over one second (DESIGN 5.3)
_BURST_S = 0.05  # refill that the bucket holds: a second may exceed the cap by so much of it
_KEPT = 0.5  # of what the bucket holds: not surplus
_SHORTEST_PERIOD_S = 0.05
_ROUNDING = 1e-12  # so that what is admitted after a wait doesn't depend on the last bit


class PowerGate:
    """Keeps the node's mean power under its cap by what it admits.

    Ordinary requests take tokens from an :class:`EnergyBucket` that holds 50 ms of refill, so
    that work flows evenly. A request dearer than that is admitted when the bucket is full and
    the last second, this request included, stays within what the cap allows a second; the bucket
    then owes the rest and admits nothing until it is paid back. So a lone request of up to
    (cap - idle) x 1 s passes at once, and no second admits more than that plus 50 ms of refill.

    How fast the bucket refills is set by the :class:`Governor` from the meter. Without a cap
    everything is affordable and nothing is counted.

    Args:
        cap_w: Power the node must keep under; None for no cap. A cap at or below the idle power
            admits nothing.
        idle_power_w: Power of the node that does nothing.
        now_s: The time now, on the clock of all later calls.
        governor: Where the refill rate comes from.

    Raises:
        ValueError: The cap isn't positive, or the idle power is negative, or either isn't finite.
    """

    __slots__ = (
        "_bucket",
        "_cap_w",
        "_governor",
        "_idle_w",
        "_observed_s",
        "_period_began_s",
        "_period_energy_j",
        "_period_unattributed_j",
        "_recent",
        "_wasted_j",
    )

    def __init__(
        self,
        *,
        cap_w: float | None,
        idle_power_w: float,
        now_s: float,
        governor: Governor | None = None,
    ) -> None:
        self._cap_w = _checked_cap(cap_w)
        self._idle_w = _checked_idle(idle_power_w)
        self._governor = governor or Governor()
        self._recent = RecentJoules(_SECOND)
        self._bucket = self._full_bucket(now_s)
        self._begin_period(now_s)

    @property
    def cap_w(self) -> float | None:
        """Power the node must keep under; None without a cap."""
        return self._cap_w

    @property
    def idle_power_w(self) -> float:
        """Power of the node that does nothing."""
        return self._idle_w

    @property
    def refill_w(self) -> float:
        """Joules per second that are admitted for now; inf without a cap."""
        return math.inf if self._cap_w is None else self._bucket.rate_w

    @property
    def overrun_j(self) -> float:
        """Joules measured beyond prediction that no debt had room for."""
        return self._bucket.overrun_j

    def tokens_j(self, now_s: float) -> float:
        """Joules that may be spent now, a debt if negative; inf without a cap."""
        return math.inf if self._cap_w is None else self._bucket.tokens_j(now_s)

    def set_cap(self, cap_w: float | None, now_s: float) -> None:
        """Change the cap; it holds from this moment, up or down.

        Raises:
            ValueError: The cap isn't positive and finite.
        """
        had_none, self._cap_w = self._cap_w is None, _checked_cap(cap_w)
        if had_none:
            self._bucket = self._full_bucket(now_s)
            self._begin_period(now_s)
        else:
            self._refill(now_s)

    def set_idle_power(self, idle_power_w: float, now_s: float) -> None:
        """Correct the idle power, where a meter has learnt it.

        Raises:
            ValueError: It is negative or not finite.
        """
        self._idle_w = _checked_idle(idle_power_w)
        self._refill(now_s)

    def least_cap_w(self, energy_j: float) -> float:
        """The cap below which a request of so many joules can never be admitted."""
        return self._idle_w + energy_j / _SECOND

    def admits(self, energy_j: float, now_s: float) -> bool:
        """Whether so many predicted joules may be spent now."""
        if self._cap_w is None:
            return True
        tokens_j = self._bucket.tokens_j(now_s)
        if energy_j <= self._bucket.capacity_j:
            return energy_j <= tokens_j
        return (
            tokens_j >= self._bucket.capacity_j > 0.0
            and self.least_cap_w(energy_j + self._recent.joules(now_s)) <= self._cap_w
        )

    def spend(self, energy_j: float, now_s: float) -> None:
        """Take the predicted joules of what is about to run.

        Raises:
            ValueError: They aren't admitted now.
        """
        if self._cap_w is None:
            return
        if energy_j <= self._bucket.capacity_j:
            self._bucket.spend(energy_j, now_s)
        elif self.admits(energy_j, now_s):
            self._bucket.borrow(energy_j, now_s)
        else:
            raise ValueError(
                f"energy_j must be admitted under the cap of {self._cap_w} W, got {energy_j} "
                f"with {self.tokens_j(now_s)} J held"
            )
        self._recent.record(energy_j, now_s)

    def settle(self, predicted_j: float, measured_j: float, now_s: float) -> None:
        """Replace predicted joules that were spent by the measured ones.

        Raises:
            ValueError: A quantity is negative or not finite.
        """
        if self._cap_w is not None:
            self._bucket.settle(predicted_j, measured_j, now_s)

    def wait_s(self, energy_j: float, now_s: float) -> float:
        """How long until so many joules are admitted, if nothing else is.

        Zero if they are admitted now; inf if the cap never allows them, or if others leave
        nothing of it at present.
        """
        if self._cap_w is None or self.admits(energy_j, now_s):
            return 0.0
        if not self.least_cap_w(energy_j) <= self._cap_w or self._bucket.rate_w == 0.0:
            return math.inf
        capacity_j = self._bucket.capacity_j
        if energy_j <= capacity_j:
            return self._bucket.affordable_in_s(energy_j, now_s)
        room_j = self._cap_w * (1 - _ROUNDING) - self.least_cap_w(energy_j)
        return max(
            self._bucket.affordable_in_s(capacity_j, now_s),
            self._recent.falls_to_in_s(max(room_j, 0.0), now_s),
        )

    def allowance_j(self, rate_hz: float, queued: int, horizon_s: float, now_s: float) -> float:
        """Joules that each request may cost so that all of the coming ones can be served.

        (refill x horizon + tokens) / (queued + rate x horizon), never more than one request may
        cost at all.

        Args:
            rate_hz: Requests that arrive per second.
            queued: Requests that wait already.
            horizon_s: How far ahead to look.
            now_s: The time now.

        Returns:
            Joules per request, at least 0; inf without a cap.
        """
        if self._cap_w is None:
            return math.inf
        bucket = self._bucket
        joules = bucket.rate_w * horizon_s + bucket.tokens_j(now_s)
        requests = queued + rate_hz * horizon_s
        if joules <= 0.0:
            return 0.0
        most_j = (self._cap_w - self._idle_w) * _SECOND
        each_j = joules / requests if requests > 1.0 else joules
        return each_j if each_j < most_j else most_j

    def surplus_j(self, now_s: float) -> float:
        """Joules that were not spent when they could have been: what the bucket holds above half.

        Variants come in steps, so a share is seldom spent to the last joule. What is left is for
        the next batch, or it would run over; the lower half stays for what comes all at once.
        """
        if self._cap_w is None:
            return 0.0
        bucket = self._bucket
        return max(bucket.tokens_j(now_s) - _KEPT * bucket.capacity_j, 0.0)

    def observe(self, power_w: float, unattributed_w: float, now_s: float) -> None:
        """Let the governor see what the meter says; call it about four times a second.

        Args:
            power_w: Mean power of the node since the last call.
            unattributed_w: Active power in it that no request was charged for.
            now_s: The time now.
        """
        elapsed_s = max(now_s - self._observed_s, 0.0)
        self._observed_s += elapsed_s
        self._period_energy_j += power_w * elapsed_s
        self._period_unattributed_j += unattributed_w * elapsed_s
        period_s = now_s - self._period_began_s
        if self._cap_w is None or period_s < _SHORTEST_PERIOD_S:
            return
        self._bucket.tokens_j(now_s)
        offered_j = self._bucket.rate_w * period_s
        wasted_j = self._bucket.wasted_j - self._wasted_j
        self._governor = self._governor.updated(
            cap_w=self._cap_w,
            idle_power_w=self._idle_w,
            power_w=self._period_energy_j / period_s,
            unattributed_w=self._period_unattributed_j / period_s,
            use=1.0 - min(wasted_j / offered_j, 1.0) if offered_j > 0 else 1.0,
            period_s=period_s,
        )
        self._begin_period(now_s)
        self._refill(now_s)

    def _begin_period(self, now_s: float) -> None:
        self._period_began_s = self._observed_s = now_s
        self._period_energy_j = self._period_unattributed_j = 0.0
        self._wasted_j = self._bucket.wasted_j

    def _full_bucket(self, now_s: float) -> EnergyBucket:
        rate_w, capacity_j, debt_j = self._sizes()
        return EnergyBucket(rate_w=rate_w, capacity_j=capacity_j, debt_j=debt_j, now_s=now_s)

    def _refill(self, now_s: float) -> None:
        rate_w, capacity_j, debt_j = self._sizes()
        self._bucket.set_rate(rate_w, now_s)
        self._bucket.resize(capacity_j, debt_j, now_s)

    def _sizes(self) -> tuple[float, float, float]:
        """Refill rate, capacity and debt of the bucket under the present cap."""
        if self._cap_w is None:
            return 0.0, 0.0, 0.0
        rate_w = self._governor.refill_w(self._cap_w, self._idle_w)
        return rate_w, rate_w * _BURST_S, max(self._cap_w - self._idle_w, 0.0) * _SECOND


def _checked_cap(cap_w: float | None) -> float | None:
    if cap_w is not None and not 0.0 < cap_w < math.inf:
        raise ValueError(f"cap_w must be None or positive and finite, got {cap_w}")
    return cap_w


def _checked_idle(idle_power_w: float) -> float:
    if not 0.0 <= idle_power_w < math.inf:
        raise ValueError(f"idle_power_w must be finite and at least 0, got {idle_power_w}")
    return idle_power_w
