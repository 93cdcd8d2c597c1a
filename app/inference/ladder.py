"""The pruning ratios on offer for one presence, and what each should cost here."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from app.scheduling.types import VariantCost
from sentryfuse.variants.profile import HostProfile


@dataclass(frozen=True, slots=True)
class Rung:
    """One ratio for one presence, known before its variant is built."""

    permille: int
    flops: int
    """For one sample."""
    expected_accuracy: float


def costs(
    rungs: Sequence[Rung],
    profile: HostProfile,
    *,
    modalities: int,
    batch: int,
    threads: int,
    watts_per_core: float,
) -> tuple[VariantCost, ...]:
    """Estimate every rung on this host, not slowed down.

    Args:
        rungs: The ratios on offer.
        profile: What this host was measured to need.
        modalities: How many are present.
        batch: Windows in the request.
        threads: Threads of one inference.
        watts_per_core: Active power of a busy core.
    """
    options = []
    for rung in rungs:
        estimate = profile.estimate(rung.flops, batch, modalities)
        options.append(
            VariantCost(
                permille=rung.permille,
                flops=rung.flops,
                latency_s=estimate.latency_s,
                energy_j=estimate.cpu_s * watts_per_core,
                expected_accuracy=rung.expected_accuracy,
                batch=batch,
                threads=threads,
            )
        )
    return tuple(options)


def with_build_time(
    options: Sequence[VariantCost], resident: Container[int], build_s: float
) -> tuple[VariantCost, ...]:
    """Add the time to build those variants that are not in memory."""
    return tuple(
        option
        if option.permille in resident
        else replace(option, latency_s=option.latency_s + build_s)
        for option in options
    )
