"""The node that is simulated: what every variant really costs it, and how its work scatters."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.scheduling.menu import Menu
from app.scheduling.types import VariantCost
from sentryfuse.bench.record import Record
from sentryfuse.bundle import Bundle
from sentryfuse.energy.cpu_time import IDLE_POWER_W, WATTS_PER_CORE
from sentryfuse.errors import ConfigError
from sentryfuse.presence import all_presences
from sentryfuse.variants import HostProfile, VariantBuilder, profile_host

PERMILLES = (0, 250, 500, 650, 800, 900)
"""Ratios that the service offers unless told otherwise."""

RECORD = "host-profile"
"""Name of the record that holds a measured host."""

_BATCHES = (1, 2, 4, 8, 16)
_NORMAL_IQR = 1.349  # interquartile range of a normal distribution of unit deviation


@dataclass(frozen=True, slots=True)
class Rung:
    """One ratio for one presence."""

    permille: int
    flops: int
    expected_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine that serves one bundle, as its host profile has it.

    Args:
        profile: What inference takes when the machine is left alone.
        ladders: By presence bits, the ratios on offer.
        num_modalities: Sensors of the bundle.
        cores: Cores that serve.
        scatter: Standard deviation of the logarithm of one inference's latency.
        watts_per_core: Active power of a busy core.
        idle_power_w: Power of the node that does nothing.
    """

    profile: HostProfile
    ladders: Mapping[int, tuple[Rung, ...]]
    num_modalities: int
    cores: int = 2
    scatter: float = 0.0
    watts_per_core: float = WATTS_PER_CORE
    idle_power_w: float = IDLE_POWER_W

    @property
    def active_power_w(self) -> float:
        """What all cores at work add to the idle power."""
        return self.cores * self.watts_per_core

    @property
    def permilles(self) -> tuple[int, ...]:
        """Ratios on offer, for any presence."""
        return tuple(sorted({rung.permille for rungs in self.ladders.values() for rung in rungs}))

    def costs(self, presence_bits: int, windows: int) -> tuple[VariantCost, ...]:
        """Return every variant for a presence, at so many windows in one batch on one core."""
        options = []
        for rung in self.ladders[presence_bits]:
            estimate = self.profile.estimate(rung.flops, windows, presence_bits.bit_count())
            options.append(
                VariantCost(
                    permille=rung.permille,
                    flops=rung.flops,
                    latency_s=estimate.latency_s,
                    energy_j=estimate.cpu_s * self.watts_per_core,
                    expected_accuracy=rung.expected_accuracy,
                    batch=windows,
                )
            )
        return tuple(options)

    def menu(self, presence_bits: int, profile_error: float = 1.0) -> Menu:
        """What the scheduler is told of a presence.

        Args:
            presence_bits: Modalities present.
            profile_error: Factor on the truth.
        """

        def told(windows: int) -> Sequence[VariantCost]:
            return [
                replace(
                    cost,
                    latency_s=profile_error * cost.latency_s,
                    energy_j=profile_error * cost.energy_j,
                )
                for cost in self.costs(presence_bits, windows)
            ]

        return Menu(told)

    def capacity_hz(self) -> float:
        """Requests per second that the smallest variant carries, one by one, all presences alike.

        Batches carry more.
        """
        alone_s = [min(c.latency_s for c in self.costs(bits, 1)) for bits in self.ladders]
        return self.cores * len(alone_s) / sum(alone_s)


def node_of(bundle: Bundle, profile: HostProfile, scatter: float, *, cores: int = 2) -> Node:
    """Describe a machine that serves a bundle, every presence at every ratio of the service.

    Raises:
        ConfigError: The profile is of another bundle.
    """
    if profile.bundle_digest != bundle.digest:
        raise ConfigError(
            f"host profile is of bundle {profile.bundle_digest[:12]}, not {bundle.digest[:12]}"
        )
    builder = VariantBuilder(bundle)
    ladders = {}
    for presence in all_presences(len(bundle.spec.modalities)):
        masks = [builder.mask(presence, permille / 1000) for permille in PERMILLES]
        ladders[presence.bits] = tuple(
            Rung(
                mask.permille,
                builder.inventory.cost(presence, mask.keep).flops,
                bundle.accuracy.expected(presence, mask.permille),
            )
            for mask in masks
        )
    return Node(
        profile=profile,
        ladders=ladders,
        num_modalities=len(bundle.spec.modalities),
        cores=cores,
        scatter=scatter,
    )


def measure_host(
    bundle: Bundle,
    *,
    rounds: int = 4,
    calls: int = 2000,
    progress: Callable[[int, int], None] | None = None,
) -> Record:
    """Measure this machine for a bundle: a profile at every ratio, and the scatter of one call.

    Several rounds, and the least of each figure, since a disturbance lasts longer than a
    measurement. Latency is taken to be CPU time: on one thread an inference waits for nothing,
    and CPU time leaves out most of what other processes do to a busy machine. For the same
    reason the scatter is that of CPU time, from its quartiles.
    """
    builder = VariantBuilder(bundle)
    profiles = []
    for done in range(rounds):
        if progress is not None:
            progress(done, rounds)
        profiles.append(profile_host(builder, permilles=PERMILLES, batches=_BATCHES))
    if progress is not None:
        progress(rounds, rounds)
    cpu_s = _call_often(builder, calls)
    low, high = np.quantile(np.log(cpu_s), [0.25, 0.75])
    record = Record(
        RECORD,
        "What does inference take on this machine, and how much does it scatter?",
        bundle=bundle.digest,
        rounds=rounds,
        calls=calls,
    )
    record.add_samples("cpu_seconds_rho50", cpu_s, "s")
    record.add("scatter", float(high - low) / _NORMAL_IQR)
    record.add("profile", _least(profiles).to_json())
    return record


def _least(profiles: Sequence[HostProfile]) -> HostProfile:
    samples = [
        replace(same[0], latency_s=cpu_s, cpu_s=cpu_s)
        for same in zip(*(profile.samples for profile in profiles), strict=True)
        for cpu_s in [min(sample.cpu_s for sample in same)]
    ]
    return replace(profiles[0], samples=tuple(samples))


def _call_often(builder: VariantBuilder, calls: int) -> list[float]:
    """CPU time of each of many calls: all sensors, half of the compute, batch 1."""
    spec = builder.bundle.spec
    variant = builder.build(builder.mask(spec.full_presence, 0.5))
    window = {m.name: np.ones((1, m.length, m.channels), dtype=np.float32) for m in spec.modalities}
    cpu_s = []
    for _ in range(calls):
        started = time.thread_time()
        variant.run(window)
        cpu_s.append(time.thread_time() - started)
    return cpu_s


def read_host(path: Path) -> tuple[HostProfile, float]:
    """Read the profile and the scatter that :func:`measure_host` recorded.

    Raises:
        ConfigError: It is not such a record.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return HostProfile.from_json(data["profile"]), float(data["scatter"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not the record of a measured host: {error}") from error
