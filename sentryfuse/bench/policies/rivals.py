"""Policies of the literature, each as its authors describe it, under our scheduler.

They get the same queues, drops of what can no longer make it, batches and power gate as ours, and
the gate may put a cheaper variant in the place of their choice, as it may with ours, unless
the variant is fixed. None refuses what is predicted to be late.
SlackFit, MaxAcc, MaxBatch and INFaaS read latencies off their profile and trust it; fixed
variants use the scheduler's own estimate of how slow the machine is, margin included; ALERT has
its own filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from weakref import WeakKeyDictionary

from app.scheduling.estimator import Estimator, Slowdown
from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import FairSlack, Policy, View
from app.scheduling.menu import Menu, Offer

_MOST_WINDOWS = 16
_BUCKETS = 4  # the authors name no number; best of 1 to 64 for them on seed 100
_ABSURD = 1e6


class _Rival:
    """What all of them have in common."""

    sheds = False
    concedes = True


class Fixed(_Rival):
    """One variant for everybody, in the largest batch that lets the head be in time (Clipper).

    Args:
        permille: Its ratio.
    """

    concedes = False

    def __init__(self, permille: int) -> None:
        self.name = f"fixed-{permille}"
        self._permille = permille

    def choose(self, view: View) -> Offer | None:
        """Return the largest batch of the variant that is in time."""
        return _largest(
            o for o in view.offers if o.option.permille == self._permille and view.fits_slack(o)
        )


class MinCost(_Rival):
    """INFaaS (ATC 2021) where no accuracy is asked for: the cheapest variant, always."""

    name = "infaas-min-cost"

    def choose(self, view: View) -> Offer | None:
        """Return the offer in time that takes the least core time of each request."""
        return min(_in_time(view), key=lambda o: (o.core_s, o.latency_s), default=None)


class MaxAcc(_Rival):
    """SuperServe's ablation: the most accurate variant at batch 1, then the largest batch."""

    name = "max-acc"

    def choose(self, view: View) -> Offer | None:
        """Return it, or None if nothing is in time."""
        offers = _in_time(view)
        best = max(
            (o for o in offers if o.requests == 1),
            key=lambda o: (o.accuracy, -o.latency_s),
            default=None,
        )
        if best is None:
            return None
        return _largest(o for o in offers if o.option.permille == best.option.permille)


class MaxBatch(_Rival):
    """SuperServe's ablation: the largest batch of the smallest variant, then most accuracy."""

    name = "max-batch"

    def choose(self, view: View) -> Offer | None:
        """Return it, or None if nothing is in time."""
        offers = _in_time(view)
        smallest = max((o.option.permille for o in view.offers), default=0)
        most = _largest(o for o in offers if o.option.permille == smallest)
        if most is None:
            return None
        return max(
            (o for o in offers if o.requests == most.requests),
            key=lambda o: (o.accuracy, -o.latency_s),
        )


@dataclass(frozen=True, slots=True)
class _Tuple:
    """A variant and a batch, with the profile's latency of it."""

    permille: int
    batch: int
    latency_s: float
    accuracy: float


class SlackFit(_Rival):
    """SuperServe's policy (NSDI 2025, 4.2): latency buckets, the one closest below the slack.

    Buckets are evenly spaced from the quickest variant alone to the slowest in the largest
    batch; each holds the tuple of the largest batch below its latency. Low slack is the signal
    of load: it leads to low buckets, where batches are large and variants small.

    Args:
        corrected: Scale the table by the scheduler's estimate of how slow the machine is, which
            the authors do not; tells their choice from what a stale profile does to it.
    """

    def __init__(self, *, corrected: bool = False) -> None:
        self.name = "slackfit-corrected" if corrected else "slackfit"
        self._corrected = corrected
        self._buckets: WeakKeyDictionary[Menu, tuple[_Tuple, ...]] = WeakKeyDictionary()

    def choose(self, view: View) -> Offer | None:
        """Return the bucket's variant for as many as wait; below all buckets, the quickest."""
        buckets = self._buckets.get(view.menu)
        if buckets is None:
            buckets = self._buckets[view.menu] = _fill_buckets(view.menu)
        factor = view.slowdown if self._corrected else 1.0
        chosen = max(
            (b for b in buckets if factor * b.latency_s < view.slack_s),
            key=lambda b: (b.latency_s, b.batch),
            default=None,
        )
        if chosen is None:
            return min(_in_time(view), key=lambda o: o.latency_s, default=None)
        return _largest(
            o
            for o in view.offers
            if o.option.permille == chosen.permille
            and o.option.batch <= max(chosen.batch, view.request.windows)
            and o.option.cores == 1
        )


class Alert(_Rival):
    """ALERT (ATC 2020): batch 1, the most expected accuracy, given how sure being in time is.

    Expected accuracy counts an answer that is late as wrong. Its energy goal is what the power
    cap can sustain for a request.

    Args:
        filtered: Its own estimator of the slow-down, which the scheduler must use too.
    """

    name = "alert"

    def __init__(self, filtered: AlertEstimator) -> None:
        self._filtered = filtered

    def choose(self, view: View) -> Offer:
        """Return the most expected accuracy within the energy goal, else the least energy."""
        mean, sigma = self._filtered.latency.mean, self._filtered.latency.sigma
        alone = [o for o in view.offers if o.requests == 1]
        goal_j = view.allowance_j

        def expected(offer: Offer) -> tuple[float, float]:
            chance = _NORMAL.cdf((view.slack_s / offer.latency_s - mean) / sigma)
            return offer.accuracy * chance, -offer.energy_j

        within = [o for o in alone if self._filtered.energy.mean * o.energy_j <= goal_j]
        return max(within or alone, key=expected)


_NORMAL = NormalDist()


@dataclass(frozen=True)
class AlertSlowdown(Slowdown):
    """ALERT's Kalman filter with its authors' constants: Q0 = 0.1, R = 0.001, alpha = 0.3."""

    noise: float = 0.1

    def updated(self, ratio: float) -> AlertSlowdown:
        """Take in observed latency over the profile's."""
        if not 0 < ratio < _ABSURD:
            return self
        surprise = ratio - self.mean
        noise = max(0.1, 0.3 * self.noise + 0.7 * (self.gain * surprise) ** 2)
        variance = (1 - self.gain) * self.variance + noise
        gain = variance / (variance + 0.001)
        return replace(
            self,
            mean=self.mean + gain * surprise,
            variance=variance,
            gain=gain,
            noise=noise,
        )


class AlertEstimator(Estimator):
    """ALERT's filters in the place of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.latency = AlertSlowdown()
        self.energy = AlertSlowdown()


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy that is ready for one run, with the estimator that it wants."""

    policy: Policy
    estimator: Estimator | None = None
    """None for the scheduler's own."""


def _alert() -> Contender:
    estimator = AlertEstimator()
    return Contender(Alert(estimator), estimator)


OURS = FairPrice.name
"""The policy that is judged."""

_BY_NAME: Mapping[str, Callable[[], Contender]] = {
    OURS: lambda: Contender(FairPrice()),
    "fair-slack": lambda: Contender(FairSlack()),
    "slackfit": lambda: Contender(SlackFit()),
    "slackfit-corrected": lambda: Contender(SlackFit(corrected=True)),
    "max-acc": lambda: Contender(MaxAcc()),
    "max-batch": lambda: Contender(MaxBatch()),
    "infaas-min-cost": lambda: Contender(MinCost()),
    "alert": _alert,
}


def policy_names(permilles: Iterable[int]) -> tuple[str, ...]:
    """Names of all policies: ours, the literature's, and every fixed variant."""
    return (*_BY_NAME, *(f"fixed-{permille}" for permille in permilles))


def contender(name: str) -> Contender:
    """Make a policy for one run.

    Args:
        name: One of :func:`policy_names`.

    Raises:
        KeyError: There is none of that name.
    """
    if name.startswith("fixed-"):
        return Contender(Fixed(int(name.removeprefix("fixed-"))))
    return _BY_NAME[name]()


def _in_time(view: View) -> list[Offer]:
    """Offers whose profile fits the slack, as they are: nothing is corrected."""
    return [o for o in view.offers if o.latency_s < view.slack_s]


def _largest(offers: Iterable[Offer]) -> Offer | None:
    return max(offers, key=lambda o: (o.requests, -o.latency_s), default=None)


def _fill_buckets(menu: Menu) -> tuple[_Tuple, ...]:
    tuples = [
        _Tuple(o.option.permille, o.requests, o.latency_s, o.accuracy)
        for o in menu.offers((1,) * _MOST_WINDOWS)
    ]
    shortest_s = min(t.latency_s for t in tuples)
    longest_s = max(t.latency_s for t in tuples)
    step_s = (longest_s - shortest_s) / _BUCKETS or 1.0
    buckets: dict[int, _Tuple] = {}
    for each in sorted(tuples, key=lambda t: (t.batch, t.accuracy, -t.latency_s)):
        buckets[min(int((each.latency_s - shortest_s) / step_s), _BUCKETS - 1)] = each
    return tuple(buckets.values())
