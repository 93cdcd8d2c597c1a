"""What a run is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sentryfuse.bench.policies.world import Fate, Run

OVER_CAP = 1.05
"""A second whose mean power exceeds the cap by so much breaks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Figures of one run."""

    trace: str
    policy: str
    seed: int
    requests: int
    in_time: int
    attainment: float
    """Answers in time over all requests."""
    serving_accuracy: float
    """Mean expected accuracy of the answers in time; 0 if there are none."""
    effective_accuracy: float
    """Mean expected accuracy over all requests, 0 for those not answered in time."""
    late_rate: float
    drop_rate: float
    shed_rate: float
    """Refused at arrival."""
    request_energy_j: float
    """Active energy of the run per answer in time; 0 if there are none."""
    latency_p50_s: float
    """Of the answers, in time or not; 0 if there are none."""
    latency_p99_s: float
    cap_seconds: int
    """Seconds that have a cap."""
    cap_over_seconds: int
    """Those with mean power above the cap + 5 %."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def score(run: Run) -> Score:
    """Judge a run."""
    fates = np.array(run.fates)
    accuracy = np.array(run.accuracy)
    latency_s = np.array(run.latency_s)
    in_time = fates == Fate.IN_TIME
    answered = latency_s[~np.isnan(latency_s)]
    p50_s, p99_s = np.quantile(answered, [0.5, 0.99]) if len(answered) else (0.0, 0.0)
    good, size = int(in_time.sum()), len(fates)
    capped, over = _cap_seconds(run)
    return Score(
        trace=run.trace.name,
        policy=run.policy,
        seed=run.trace.seed,
        requests=size,
        in_time=good,
        attainment=good / size,
        serving_accuracy=float(accuracy[in_time].mean()) if good else 0.0,
        effective_accuracy=float(accuracy[in_time].sum()) / size,
        late_rate=float((fates == Fate.LATE).mean()),
        drop_rate=float((fates == Fate.DROPPED).mean()),
        shed_rate=float((fates == Fate.REFUSED).mean()),
        request_energy_j=run.energy_j / good if good else 0.0,
        latency_p50_s=float(p50_s),
        latency_p99_s=float(p99_s),
        cap_seconds=capped,
        cap_over_seconds=over,
    )


def _cap_seconds(run: Run) -> tuple[int, int]:
    """Whole seconds of the trace under a cap, and those whose mean power exceeds it."""
    capped = over = 0
    for second in range(math.floor(run.trace.duration_s)):
        cap_w = mean_step(run.trace.caps, second, second + 1)
        if cap_w is not None:
            capped += 1
            over += run.idle_power_w + run.second_energy_j[second] > OVER_CAP * cap_w
    return capped, over


def mean_step(
    steps: Sequence[tuple[float, float | None]], start_s: float, end_s: float
) -> float | None:
    """Mean over a stretch of time of a value that holds from one step to the next.

    Returns:
        None if any part of the stretch has none.
    """
    total = 0.0
    for i, (since_s, value) in enumerate(steps):
        until_s = steps[i + 1][0] if i + 1 < len(steps) else math.inf
        overlap_s = min(end_s, until_s) - max(start_s, since_s)
        if overlap_s > 0:
            if value is None:
                return None
            total += value * overlap_s
    return total / (end_s - start_s)
