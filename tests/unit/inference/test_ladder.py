from __future__ import annotations

import pytest

from app.inference.ladder import Rung, costs, with_build_time
from sentryfuse.variants import HostProfile, ProfileSample

RUNGS = (
    Rung(permille=0, flops=1000, expected_accuracy=0.9),
    Rung(permille=500, flops=500, expected_accuracy=0.8),
)
PROFILE = HostProfile(
    "host",
    "bundle",
    tuple(
        ProfileSample(
            modalities=m, flops=f, batch=b, latency_s=m * f * b * 1e-6, cpu_s=m * f * b * 2e-6
        )
        for m in (1, 2)
        for f in (500, 1000)
        for b in (1, 2)
    ),
)


def test_each_rung_costs_what_the_profile_says_at_the_batch_size() -> None:
    dense, half = costs(RUNGS, PROFILE, modalities=1, batch=2, threads=1, watts_per_core=5.0)
    assert (dense.permille, half.permille) == (0, 500)
    assert half.latency_s == pytest.approx(1e-3)
    assert half.energy_j == pytest.approx(2e-3 * 5)
    assert half.expected_accuracy == 0.8
    assert half.batch == 2


def test_only_variants_not_in_memory_take_longer() -> None:
    options = costs(RUNGS, PROFILE, modalities=1, batch=1, threads=1, watts_per_core=5.0)
    dense, half = with_build_time(options, {500}, 0.1)
    assert dense.latency_s == pytest.approx(options[0].latency_s + 0.1)
    assert half == options[1]


def test_more_sensors_cost_more_at_the_same_operations() -> None:
    one, two = (
        costs(RUNGS, PROFILE, modalities=m, batch=1, threads=1, watts_per_core=5.0) for m in (1, 2)
    )
    assert two[0].latency_s == pytest.approx(2 * one[0].latency_s)
