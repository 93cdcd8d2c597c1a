"""How many joules per second may be admitted so that the node keeps its cap: a slow PI loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

# Aim below the cap by 1 % of it, for a mean is as often above its target as below; but by no
# more than a tenth of what the cap leaves above idle.
_MARGIN = 0.01
_MARGIN_OF_SPAN = 0.1
# Errors within half the margin are left alone.
_DEAD_BAND_OF_MARGIN = 0.5
# Tuned on plants of gain 0.7 to 1.3 behind a meter that lags by a second (tests/property).
_INTEGRAL_PER_S = 0.35
_PROPORTIONAL = 0.15
_TRIM_LEAST, _TRIM_MOST = -0.95, 1.0
# The oldest meters that we read lag so far behind what was admitted.
_METER_DELAY_S = 1.0
# A bucket that has room for this part of its refill binds; the rest is lost between two looks.
_BINDS = 0.8
# A trim that nothing confirms is forgotten slowly, so that none can choke the node for ever.
_FORGET_S = 60.0
_FILTER_S = 1.0


@dataclass(frozen=True, slots=True)
class _Period:
    """What the loop knew over one period of the meter."""

    duration_s: float
    targets_w: tuple[float, float]
    """At its beginning and at its end."""
    use: float


@dataclass(frozen=True, slots=True)
class Governor:
    """A PI loop from measured node power to the refill rate of the energy bucket.

    After Lefurgy et al. (ICAC 2007) and Cerf et al. (arXiv 2107.02426). Feed-forward gives the
    rate that would do if every prediction were right: target - idle - unattributed power. The
    integral is a factor on it (``trim``), not watts: a prediction wrong by 30 % is wrong by 30 %
    under every cap, so a step of the cap doesn't disturb what was learnt.

    A reading is about a second old. It is therefore compared with every target of the last
    second and only its distance from all of them counts, so that a step or a ramp of the cap
    isn't taken for an error. For the same reason the trim only grows after the bucket has been
    binding for longer than that: with no load there is nothing to correct (anti-windup).
    """

    trim: float = 0.0
    """Correction of the feed-forward rate: -0.2 admits a fifth less."""
    unattributed_w: float = 0.0
    """Active power that no request was charged for, filtered."""
    push_w: float = 0.0
    """The proportional term of the last period."""
    recent: tuple[_Period, ...] = ()

    def refill_w(self, cap_w: float, idle_power_w: float) -> float:
        """Joules per second that may be admitted, in ``[0, cap - idle]``."""
        rate_w = self._feed_forward_w(cap_w, idle_power_w) * (1 + self.trim) + self.push_w
        return min(max(rate_w, 0.0), max(cap_w - idle_power_w, 0.0))

    def updated(
        self,
        *,
        cap_w: float,
        idle_power_w: float,
        power_w: float,
        unattributed_w: float,
        use: float,
        period_s: float,
    ) -> Governor:
        """Take in one period.

        Args:
            cap_w: The node's cap.
            idle_power_w: Power of the node that does nothing.
            power_w: Mean power of the node over the period, as the meter has it.
            unattributed_w: Active power in it that no request was charged for.
            use: Part of the refill that the bucket had room for, in [0, 1]; 1 where it bound.
            period_s: How long the period was.

        Returns:
            The governor after it; this one where a figure isn't finite or no time has passed.
        """
        if not (math.isfinite(power_w) and math.isfinite(unattributed_w) and period_s > 0):
            return self
        target_w = _target_w(cap_w, idle_power_w)
        before_w = self.recent[-1].targets_w[1] if self.recent else target_w
        recent = _latest((*self.recent, _Period(period_s, (before_w, target_w), use)))
        weight = min(period_s / _FILTER_S, 1.0)
        moved = replace(
            self,
            unattributed_w=self.unattributed_w
            + weight * (max(unattributed_w, 0.0) - self.unattributed_w),
            push_w=0.0,
            recent=recent,
        )
        span_w = target_w - idle_power_w
        if span_w <= 0:
            return moved
        dead_band_w = _DEAD_BAND_OF_MARGIN * (cap_w - target_w)
        error = _distance_w(power_w, recent, dead_band_w) / span_w
        bound = _bound(recent)
        if error >= 0 and not bound:
            return replace(moved, trim=self.trim * max(1 - period_s / _FORGET_S, 0.0))
        if error < 0:  # the trim answers for what was admitted, not for what others burn
            error = max(error, -1.0) * max(period.use for period in recent)
        trim = self.trim + _INTEGRAL_PER_S * error * min(period_s, _METER_DELAY_S)
        moved = replace(
            moved,
            trim=min(max(trim, _TRIM_LEAST), _TRIM_MOST),
            push_w=_PROPORTIONAL * error * span_w,
        )
        return moved._without_windup(cap_w, idle_power_w)

    def _feed_forward_w(self, cap_w: float, idle_power_w: float) -> float:
        return max(_target_w(cap_w, idle_power_w) - idle_power_w - self.unattributed_w, 0.0)

    def _without_windup(self, cap_w: float, idle_power_w: float) -> Governor:
        """Back-calculation: a trim above what the upper clamp lets through is taken back to it."""
        forward_w = self._feed_forward_w(cap_w, idle_power_w)
        if self.trim <= 0 or forward_w <= 0:
            return self
        most = (cap_w - idle_power_w) / forward_w - 1
        return replace(self, trim=min(self.trim, max(most, 0.0)))


def _target_w(cap_w: float, idle_power_w: float) -> float:
    return cap_w - min(_MARGIN * cap_w, _MARGIN_OF_SPAN * max(cap_w - idle_power_w, 0.0))


def _latest(periods: tuple[_Period, ...]) -> tuple[_Period, ...]:
    """The newest periods that cover what a late reading may speak of."""
    covered_s = 0.0
    for count, period in enumerate(reversed(periods), start=1):
        covered_s += period.duration_s
        if covered_s >= _METER_DELAY_S + periods[-1].duration_s:
            return periods[-count:]
    return periods


def _bound(recent: tuple[_Period, ...]) -> bool:
    """Whether the bucket was binding for as long as a late reading may speak of."""
    covered_s = sum(period.duration_s for period in recent)
    seen = covered_s >= _METER_DELAY_S + recent[-1].duration_s
    return seen and all(period.use >= _BINDS for period in recent)


def _distance_w(power_w: float, recent: tuple[_Period, ...], dead_band_w: float) -> float:
    """How far power lies below (positive) or above (negative) all targets it may speak of."""
    highest_w = max(max(period.targets_w) for period in recent)
    lowest_w = min(min(period.targets_w) for period in recent)
    if power_w > highest_w + dead_band_w:
        return highest_w - power_w
    if power_w < lowest_w - dead_band_w:
        return lowest_w - power_w
    return 0.0
