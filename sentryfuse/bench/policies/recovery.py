"""How many requests it takes until a wrong host profile no longer shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.rivals import OURS, contender
from sentryfuse.bench.policies.traces import make_trace
from sentryfuse.bench.policies.world import Fate, simulate

WINDOW = 50
"""Attainment is that of so many requests in a row, over all seeds."""

TOLERANCE = 0.01

ERRORS = (1.5, 0.5)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Attainment from the first request on, mean over seeds."""

    error: float
    """What the profile says over the truth."""
    attainment: tuple[float, ...]
    """Of the ``WINDOW`` requests from the n-th on."""
    right: tuple[float, ...]
    """The same with the right profile."""

    @property
    def requests(self) -> int:
        """The first n from which on attainment stays within a point of the right profile's."""
        behind = np.array(self.right) - np.array(self.attainment) > TOLERANCE
        return int(behind.nonzero()[0][-1]) + 1 if behind.any() else 0


def measure_recovery(
    node: Node,
    *,
    load: float,
    deadline_s: float,
    seeds: range,
    requests: int = 500,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Recovery, ...]:
    """Start from a wrong profile again and again, with Poisson arrivals.

    Args:
        node: The machine.
        load: Part of what the smallest variant carries one by one.
        deadline_s: Latency budget.
        seeds: One start each.
        requests: Length of each start.
        progress: Told how many of how many starts are done.
    """
    rate_hz = load * node.capacity_hz()
    in_time = {error: np.zeros(requests) for error in (1.0, *ERRORS)}
    for done, seed in enumerate(seeds, start=1):
        trace = make_trace(
            "poisson",
            rate_hz=rate_hz,
            duration_s=1.5 * requests / rate_hz,
            deadline_s=deadline_s,
            seed=seed,
            num_modalities=node.num_modalities,
        )
        for error, counts in in_time.items():
            run = simulate(
                node,
                replace(trace, arrivals=trace.arrivals[:requests], profile_error=error),
                contender(OURS).policy,
            )
            fates = np.array(run.fates)
            counts[: len(fates)] += fates == Fate.IN_TIME
        if progress is not None:
            progress(done, len(seeds))
    rates = {error: _rolling(counts / len(seeds)) for error, counts in in_time.items()}
    right = tuple(rates[1.0].tolist())
    return tuple(Recovery(error, tuple(rates[error].tolist()), right) for error in ERRORS)


def _rolling(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(values, np.full(WINDOW, 1 / WINDOW), mode="valid")
