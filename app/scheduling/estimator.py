"""How much slower, and how much hungrier, than its profile the machine is right now."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_MEMORY = 0.3  # alpha of ALERT: how much of the last process noise is remembered
_NOISE_FLOOR = 0.0025  # Q0: the factor wanders by 5 % per request when all is calm
_MEASUREMENT_NOISE = 0.01  # R: one request's latency scatters by 10 % around the factor
_SURPRISE = 3.0  # standard deviations beyond which one observation counts no further
_DOUBT = 0.1  # part of a pessimistic estimate that a refusal on its word alone takes back
_ABSURD = 1e6  # a ratio that says the clock or the profile is broken, not that the machine is slow


@dataclass(frozen=True, slots=True)
class Slowdown:
    """A scalar Kalman filter over observed / predicted latency, with adaptive process noise.

    One factor scales the whole host profile, so every variant's estimate follows contention and
    thermal throttling after each request (ALERT, Wan et al., USENIX ATC 2020, section 3). Two
    things differ: the noise constants fit millisecond inference, and an observation further
    than three standard deviations off counts as three, so that one hiccup does not take the
    estimate with it while a lasting change still does within a few requests.
    """

    mean: float = 1.0
    variance: float = 0.1
    """Of the factor itself, before the next observation."""
    gain: float = 0.5
    noise: float = _NOISE_FLOOR
    """Process noise Q: grows with surprises, shrinks to a floor when all is calm."""

    @property
    def sigma(self) -> float:
        """Standard deviation of the factor: DESIGN 5.8 plans with mean + z sigma."""
        return math.sqrt(self.variance)

    def updated(self, ratio: float) -> Slowdown:
        """Take in one observation.

        Args:
            ratio: Observed latency over the profile's; one that can't be (NaN, not positive,
                a million) leaves the estimate as it is.
        """
        if not 0 < ratio < _ABSURD:
            return self
        reach = _SURPRISE * math.sqrt(self.variance + _MEASUREMENT_NOISE)
        innovation = min(max(ratio - self.mean, -reach), reach)
        noise = max(
            _NOISE_FLOOR, _MEMORY * self.noise + (1 - _MEMORY) * (self.gain * innovation) ** 2
        )
        variance = (1 - self.gain) * self.variance + noise
        gain = variance / (variance + _MEASUREMENT_NOISE)
        return Slowdown(
            mean=self.mean + gain * innovation, variance=variance, gain=gain, noise=noise
        )

    def doubted(self) -> Slowdown:
        """Relax a pessimistic estimate that kept an idle machine from trying.

        It would otherwise stand for ever: it learns only from what runs.
        """
        return replace(self, mean=self.mean + _DOUBT * (1.0 - self.mean)) if self.mean > 1 else self


class Estimator:
    """One factor on every latency of the host profile, one on every energy.

    Args:
        z: Standard deviations of a factor that decisions allow for.
    """

    def __init__(self, z: float = 1.645) -> None:
        self.latency = Slowdown()
        self.energy = Slowdown(variance=0.01)
        self._z = z

    @property
    def latency_margin(self) -> float:
        """Added to the mean factor where a deadline must be kept."""
        return self._z * self.latency.sigma

    @property
    def energy_bound(self) -> float:
        """Factor on energies, margin included, where a budget must be kept."""
        return self.energy.mean + self._z * self.energy.sigma

    def observe(self, latency_ratio: float, energy_ratio: float) -> None:
        """Take in what one inference took over what its profile says."""
        self.latency = self.latency.updated(latency_ratio)
        self.energy = self.energy.updated(energy_ratio)

    def doubted(self) -> None:
        """A request was refused although the machine is idle."""
        self.latency = self.latency.doubted()
