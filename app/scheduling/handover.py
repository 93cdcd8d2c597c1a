"""What a batch takes of a core beside its inference: on the way to it, and until it is free again.

A core is held from the decision to the moment when the decider learns that the inference has
ended. In between a thread must wake, take its turn with the event loop, hand its result back, and
be heard. Nobody is in the way of that while little happens; under load it may take longer than a
small variant does, and no variant is small enough to help. A larger batch is: it is handed over
once.

Most of that time is waiting, which draws nothing. What it draws is CPU time of the threads that
hand over, so energy is followed beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

_SURPRISE = 3.0  # deviations beyond which one batch counts no further
_LEAST_DEVIATION_S = 0.0001  # so that there is always a way up
_ROUNDING_S = 1e-6  # of clocks, which a simulation would otherwise learn from
_DEAREST = 4.0  # times the mean energy beyond which one batch counts no further


@dataclass(frozen=True, slots=True)
class Handover:
    """Mean and mean deviation over the newest batches, as round-trip times have them (RFC 6298)."""

    mean_s: float = 0.0
    deviation_s: float = 0.0
    energy_j: float = 0.0
    """Mean active energy; 0 until some was measured."""

    @property
    def allowance_s(self) -> float:
        """Time to set aside for it in a plan."""
        return self.mean_s + 2 * self.deviation_s

    def updated(self, seconds: float, energy_j: float = 0.0) -> Handover:
        """Take in one batch.

        Args:
            seconds: How long its core was held beyond its inference.
            energy_j: Active energy of handing it over; 0 where that is not measured.
        """
        seen_s = seconds if seconds > _ROUNDING_S else 0.0
        reach_s = _SURPRISE * max(self.deviation_s, _LEAST_DEVIATION_S)
        error_s = min(max(seen_s - self.mean_s, -reach_s), reach_s)
        return Handover(
            mean_s=self.mean_s + error_s / 16,
            deviation_s=self.deviation_s + (abs(error_s) - self.deviation_s) / 8,
            energy_j=self._mean_j(energy_j),
        )

    def _mean_j(self, energy_j: float) -> float:
        if not self.energy_j:
            return energy_j
        return self.energy_j + (min(energy_j, _DEAREST * self.energy_j) - self.energy_j) / 16
