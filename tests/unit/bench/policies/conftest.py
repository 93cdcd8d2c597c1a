from __future__ import annotations

import pytest

from sentryfuse.bench.policies.node import Node, Rung
from sentryfuse.variants import HostProfile, ProfileSample

# Two sensors. On one core, a window takes 1 ms for each 10 MFLOPs; batches gain nothing on the
# largest variant and half of the time on the smallest.
_SAMPLES = [
    ProfileSample(modalities=n, flops=flops, batch=batch, latency_s=cpu_s, cpu_s=cpu_s)
    for n in (1, 2)
    for flops, batch, cpu_s in [
        (10_000_000, 1, 0.001),
        (10_000_000, 16, 0.008),
        (40_000_000, 1, 0.004),
        (40_000_000, 16, 0.064),
    ]
]


@pytest.fixture
def node() -> Node:
    """Two cores, no scatter: 4 ms and 0.9 unpruned, 1 ms and 0.8 at 800 permille."""
    ladder = (Rung(0, 40_000_000, 0.9), Rung(800, 10_000_000, 0.8))
    return Node(
        profile=HostProfile("host", "bundle", tuple(_SAMPLES)),
        ladders={bits: ladder for bits in (1, 2, 3)},
        num_modalities=2,
        cores=2,
        scatter=0.0,
        watts_per_core=5.0,
        idle_power_w=3.0,
    )
