"""What a request costs beside its inference, as filtered estimates."""

from __future__ import annotations

from dataclasses import dataclass

_FEW_REQUESTS = 8
_LONGEST_CORE_S = 0.01


@dataclass(frozen=True, slots=True)
class Overhead:
    """What an answer costs beside parsing, building, waiting and inference.

    Mean and mean deviation follow the newest requests, as round-trip times do in TCP (RFC 6298).
    """

    mean_s: float = 0.0005
    deviation_s: float = 0.00025

    @property
    def allowance_s(self) -> float:
        """Time to set aside for it in a plan."""
        return self.mean_s + 2 * self.deviation_s

    def updated(self, seconds: float) -> Overhead:
        """Take in one request's overhead."""
        error = seconds - self.mean_s
        return Overhead(
            mean_s=self.mean_s + error / 8,
            deviation_s=self.deviation_s + (abs(error) - self.deviation_s) / 4,
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
