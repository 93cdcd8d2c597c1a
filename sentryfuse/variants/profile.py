"""What inference costs on this host: measured once, then asked by FLOPs and batch size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.variants.builder import VariantBuilder
from sentryfuse.variants.cost_grid import CostGrid, interpolate
from sentryfuse.variants.host import host_fingerprint
from sentryfuse.variants.variant import Variant

_FEWEST_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSample:
    """One measurement: what a whole batch took."""

    modalities: int
    """How many were present."""
    flops: int
    """Of one sample of the batch."""
    batch: int
    latency_s: float
    cpu_s: float

    def __post_init__(self) -> None:
        sizes = (self.modalities, self.flops, self.batch)
        costs = (self.latency_s, self.cpu_s)
        if min(sizes) < 1 or not all(0 < c < math.inf for c in costs):
            raise ConfigError(f"a profile sample must hold positive, finite numbers, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a whole batch is expected to take."""

    latency_s: float
    cpu_s: float


@dataclass(frozen=True)
class HostProfile:
    """Measured cost of inference on one kind of host, for one bundle.

    Estimates never fall with more FLOPs or a larger batch, whatever the noise in the samples:
    a planner may rely on the smaller variant being the faster one.

    Args:
        fingerprint: The kind of host (:func:`host_fingerprint`).
        bundle_digest: The model that was measured.
        samples: At least one.
    """

    fingerprint: str
    bundle_digest: str
    samples: tuple[ProfileSample, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ConfigError("a host profile needs at least one sample")

    def estimate(self, flops: int, batch: int, modalities: int | None = None) -> Estimate:
        """Interpolate between the samples; beyond the largest, cost grows in proportion.

        Args:
            flops: Of one sample of the batch.
            batch: Windows in the batch.
            modalities: How many are present: the same FLOPs cost more in more encoders. Without
                it, the samples of all presences are taken together.
        """
        return Estimate(
            latency_s=_estimate(self._latency, flops, batch, modalities),
            cpu_s=_estimate(self._cpu, flops, batch, modalities),
        )

    def with_samples(self, samples: Sequence[ProfileSample]) -> HostProfile:
        """Return a profile that holds further samples of the same host and bundle too."""
        return replace(self, samples=(*self.samples, *samples))

    def spans(self, flops: int, modalities: int) -> bool:
        """Whether samples with so many modalities lie on both sides: else estimates are guesses."""
        measured = [s.flops for s in self.samples if s.modalities == modalities]
        return bool(measured) and min(measured) <= flops <= max(measured)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; :meth:`from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HostProfile:
        """Rebuild a profile from :meth:`to_json`'s data.

        Raises:
            ConfigError: The data are not a host profile.
        """
        try:
            return cls(
                fingerprint=str(data["fingerprint"]),
                bundle_digest=str(data["bundle_digest"]),
                samples=tuple(ProfileSample(**sample) for sample in data["samples"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"not a host profile: {error}") from error

    @cached_property
    def _latency(self) -> Grids:
        return _fit(self.samples, attrgetter("latency_s"))

    @cached_property
    def _cpu(self) -> Grids:
        return _fit(self.samples, attrgetter("cpu_s"))


Grids = dict[int | None, CostGrid]
"""Costs by number of modalities, ascending; those of all presences together under None."""


def _fit(samples: Sequence[ProfileSample], cost: Callable[[ProfileSample], float]) -> Grids:
    def grid(chosen: Iterable[ProfileSample]) -> CostGrid:
        return CostGrid.fit([(s.flops, s.batch, cost(s)) for s in chosen])

    counts = sorted({s.modalities for s in samples})
    of_count: Grids = {n: grid(s for s in samples if s.modalities == n) for n in counts}
    return of_count | {None: grid(samples)}


def _estimate(grids: Grids, flops: int, batch: int, modalities: int | None) -> float:
    if modalities is None:
        return grids[None].at(flops, batch)
    counts = [count for count in grids if count is not None]
    return interpolate(counts, [grids[n].at(flops, batch) for n in counts], modalities)


def profile_host(
    builder: VariantBuilder,
    *,
    permilles: Sequence[int],
    batches: Sequence[int] = (1, 4, 16),
    repeats: int = 20,
    enough_s: float = math.inf,
    progress: Callable[[int, int], None] | None = None,
) -> HostProfile:
    """Measure this host, in seconds: all modalities, and the first one alone.

    Each figure is the lower quartile of its repeats: what the host does when it is left alone.
    A busy host is the scheduler's business, which scales these figures by what it observes. On one
    thread an inference waits for nothing, so what it takes beyond its CPU time others took, and
    that is left out: a busy neighbour takes more of a long run than of a short one, and large
    batches would look as if they did not pay.

    Args:
        builder: Makes the variants that are measured.
        permilles: Pruning ratios to measure, in thousandths.
        batches: Batch sizes to measure.
        repeats: Runs for each figure.
        enough_s: Of runs for one figure; then, and after five, there are no more. What disturbs
            a host for a moment is a small part of a long run.
        progress: Called with the number of variants measured and to measure.
    """
    size = len(builder.bundle.spec.modalities)
    presences = dict.fromkeys((Presence.full(size), Presence.of((0,), size)))
    plan = [(presence, permille) for presence in presences for permille in permilles]
    samples: list[ProfileSample] = []
    for done, (presence, permille) in enumerate(plan):
        if progress is not None:
            progress(done, len(plan))
        variant = builder.build(builder.mask(presence, permille / 1000))
        samples += [
            _measure(
                variant,
                builder.bundle.spec,
                batch,
                repeats,
                enough_s,
                one_thread=builder.threads == 1 and builder.engine == "cpu",
            )
            for batch in batches
        ]
    if progress is not None:
        progress(len(plan), len(plan))
    return HostProfile(host_fingerprint(builder.engine), builder.bundle.digest, tuple(samples))


def _measure(
    variant: Variant,
    spec: ModelSpec,
    batch: int,
    repeats: int,
    enough_s: float,
    *,
    one_thread: bool,
) -> ProfileSample:
    windows = {
        m.name: np.ones((batch, m.length, m.channels), dtype=np.float32)
        for m in (spec.modalities[i] for i in variant.card.presence)
    }
    variant.run(windows)
    latency_s: list[float] = []
    cpu_s: list[float] = []
    fewest = min(repeats, _FEWEST_RUNS)
    while len(latency_s) < fewest or (len(latency_s) < repeats and sum(latency_s) < enough_s):
        cpu_started, started = time.process_time(), time.perf_counter()
        variant.run(windows)
        latency_s.append(time.perf_counter() - started)
        cpu_s.append(time.process_time() - cpu_started)
    took_s, used_s = float(np.quantile(latency_s, 0.25)), float(np.quantile(cpu_s, 0.25))
    return ProfileSample(
        modalities=len(variant.card.presence),
        flops=variant.card.flops,
        batch=batch,
        latency_s=min(took_s, used_s) if one_thread else took_s,
        cpu_s=used_s,
    )
