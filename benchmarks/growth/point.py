"""One point of a curve: what the service does at one size, and how curves bend."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from loadtests.client import Volley

_SERVED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What clients saw for a while; latencies count from when each request was due."""

    sent: int
    served: int
    in_time: int
    """Answers within their budget, by the server; where there is none, all."""
    rate_hz: float
    """Answers per second."""
    p50_s: float
    p99_s: float
    inference_p50_s: float
    """Of it in the engine, by the receipts."""
    build_share: float
    """Share of answers that waited for a variant to be built."""
    errors: dict[str, int]
    """Whatever was not answered, by its reason."""


def stretch_of(volley: Volley) -> Stretch:
    """Sum up what became of a volley."""
    served = [o for o in volley.outcomes if o.status == _SERVED and o.latency_s is not None]
    latencies_s = [o.latency_s or 0.0 for o in served]
    return Stretch(
        sent=len(volley.outcomes),
        served=len(served),
        in_time=sum(o.budget_met for o in served),
        rate_hz=len(served) / volley.duration_s,
        p50_s=_quantile(latencies_s, 0.5),
        p99_s=_quantile(latencies_s, 0.99),
        inference_p50_s=_quantile([o.stages_s.get("inference", 0.0) for o in served], 0.5),
        build_share=float(np.mean([o.stages_s.get("build", 0.0) > 0 for o in served] or [0.0])),
        errors=dict(Counter(o.error or str(o.status) for o in volley.outcomes if o not in served)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The service at one size."""

    size: float
    ready_s: float
    """From the start of its process until it wanted requests."""
    idle_bytes: int
    """Resident, once it was ready."""
    loaded_bytes: int
    """Resident, after all stretches."""
    stretches: dict[str, Stretch]
    flops: int = 0
    """Of one inference without pruning, where sizes differ in it."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for a record."""
        return asdict(self)


def steepest(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The largest exponent between neighbouring points: 1 is linear, 2 quadratic.

    Points of which one is not above zero are left out; 0 where there are no two.
    """
    pairs = [(x, y) for x, y in zip(sizes, values, strict=True) if x > 0 and y > 0]
    exponents = [math.log(y1 / y0) / math.log(x1 / x0) for (x0, y0), (x1, y1) in pairwise(pairs)]
    return max(exponents, default=0.0)


def overall(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent from the first point to the last."""
    if len(sizes) < 2:
        return 0.0
    return steepest((sizes[0], sizes[-1]), (values[0], values[-1]))


def _quantile(values: Sequence[float], q: float) -> float:
    return float(np.quantile(values, q)) if len(values) else 0.0
