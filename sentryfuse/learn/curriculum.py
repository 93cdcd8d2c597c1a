"""Which modalities are missing, and how much is pruned, in each training step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sentryfuse.presence import Presence

# MAESTRO drops each modality with at most this probability (arXiv 2509.25278, section 3).
_MAX_DROP = 0.4


@dataclass(frozen=True, slots=True)
class PresenceCurriculum:
    """Modality dropout that starts with none and grows (after MAESTRO's curriculum).

    MAESTRO drops modalities independently; that alone almost never shows a model four of five
    missing, and robustness ends where training ended. So half of the draws choose the *number*
    of missing modalities evenly instead, up to all but one.

    Args:
        num_modalities: M.
        full_fraction: Part of the run with every modality present.
        ramp_fraction: Part of the run over which the severity rises to its final value.
    """

    num_modalities: int
    full_fraction: float
    ramp_fraction: float

    def severity(self, progress: float) -> float:
        """Return 0 (nothing missing) to 1 (as severe as it gets) at ``progress`` in [0, 1]."""
        if progress < self.full_fraction:
            return 0.0
        if not self.ramp_fraction:
            return 1.0
        return min(1.0, (progress - self.full_fraction) / self.ramp_fraction)

    def draw(self, progress: float, rng: np.random.Generator) -> Presence:
        """Draw the presence of one batch; at least one modality stays."""
        severity = self.severity(progress)
        size = self.num_modalities
        if rng.random() < 0.5:
            present = np.flatnonzero(rng.random(size) >= _MAX_DROP * severity)
        else:
            most_missing = round(severity * (size - 1))
            kept = size - int(rng.integers(0, most_missing + 1))
            present = rng.choice(size, kept, replace=False)
        if not len(present):
            present = rng.choice(size, 1)
        return Presence.of(present.tolist(), size)
