"""What a request costs beside its inference, as filtered estimates."""

from __future__ import annotations

from dataclasses import dataclass

_SURPRISE = 3.0  # deviations beyond which one answer counts no further
_LEAST_DEVIATION_S = 0.00002  # so that there is always a way back up
_DOUBT = 0.1  # part of what is above the first guess that one refusal takes back
_FEW_REQUESTS = 8
_LONGEST_CORE_S = 0.01


@dataclass(frozen=True, slots=True)
class Overhead:
    """What an answer costs beside parsing, building, waiting and inference.

    Mean and mean deviation follow the newest requests, as round-trip times do in TCP (RFC 6298),
    but one that is further off than three deviations counts as three: a hiccup leaves the
    estimate about where it is, a lasting change moves it within some requests.
    """

    mean_s: float = 0.0005
    deviation_s: float = 0.00025

    @property
    def allowance_s(self) -> float:
        """Time to set aside for it in a plan."""
        return self.mean_s + 2 * self.deviation_s

    def updated(self, seconds: float) -> Overhead:
        """Take in one request's overhead."""
        reach_s = _SURPRISE * self.deviation_s
        error_s = min(max(seconds - self.mean_s, -reach_s), reach_s)
        deviation_s = self.deviation_s + (abs(error_s) - self.deviation_s) / 4
        return Overhead(
            mean_s=self.mean_s + error_s / 8, deviation_s=max(deviation_s, _LEAST_DEVIATION_S)
        )

    def doubted(self) -> Overhead:
        """Relax a pessimistic estimate that kept an idle machine from trying.

        It would otherwise stand for ever: it learns only from answers.
        """
        first = Overhead()
        return Overhead(
            mean_s=self.mean_s - _DOUBT * max(self.mean_s - first.mean_s, 0.0),
            deviation_s=self.deviation_s - _DOUBT * max(self.deviation_s - first.deviation_s, 0.0),
        )


@dataclass(frozen=True, slots=True)
class CoreOverhead:
    """CPU time of the event loop for one request: reading, deciding, writing."""

    mean_s: float = 0.0005

    def updated(self, cpu_s: float, requests: int) -> CoreOverhead:
        """Take in a span of time; one of few requests says more about what else is done.

        Args:
            cpu_s: CPU time of the event loop in it.
            requests: How many were received in it.
        """
        if requests < _FEW_REQUESTS:
            return self
        seen_s = min(cpu_s / requests, _LONGEST_CORE_S)
        weight = min(requests / 200, 0.5)
        return CoreOverhead(self.mean_s + weight * (seen_s - self.mean_s))
