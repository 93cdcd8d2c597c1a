"""Host profiles: from this machine's files, from replicas on a like host, or measured now."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from app.storage import ProfileKey, SharedProfiles
from sentryfuse.errors import ConfigError
from sentryfuse.variants import HostProfile, VariantBuilder, host_fingerprint, profile_host

logger = logging.getLogger(__name__)

_ENOUGH_S = 0.05
"""For one figure: 20 runs at each would take twice as long and be no more exact."""


class HostProfiles:
    """Finds the profile of a bundle on this host, and keeps what had to be measured.

    Args:
        directory: Where profiles are kept on this machine.
        shared: Where replicas share them.
    """

    def __init__(self, directory: Path, shared: SharedProfiles) -> None:
        self._directory = directory
        self._shared = shared

    async def obtain(
        self,
        builder: VariantBuilder,
        permilles: tuple[int, ...],
        executor: Executor,
        *,
        like: HostProfile | None = None,
        idle: bool = True,
    ) -> HostProfile:
        """Return the profile, measuring this host for a second or two if nobody has yet.

        One that was measured when other ratios were on offer is completed: where it has no
        samples at either end of the ladder, the smallest variant would look as dear as the largest.

        Args:
            builder: Makes the variants that are measured.
            permilles: Pruning ratios on offer, ascending; the ends and the middle are measured.
            executor: Where to measure.
            like: Taken rather than measuring: that of a model of the same shape.
            idle: Whether nothing else runs here; what is measured beside requests is not kept
                for the next start.
        """
        loop = asyncio.get_running_loop()
        fingerprint = await loop.run_in_executor(executor, host_fingerprint, builder.engine)
        key = ProfileKey(builder.bundle.digest, fingerprint)
        path = self._directory / f"{key.bundle_digest[:32]}-{fingerprint}.json"
        local = await asyncio.to_thread(_read, path, key)
        known = local if local is not None else await self._fetch(key)
        if known is None and like is not None:
            return like
        lacking = await loop.run_in_executor(executor, _lacking, known, builder, permilles)
        if not lacking and known is not None:
            if local is None:
                await asyncio.to_thread(_write, path, known)
            else:  # Whoever comes next with a disk of its own need not measure either.
                await self._shared.put(key, json.dumps(known.to_json()), replace=False)
            return known
        measured = await loop.run_in_executor(
            executor, partial(profile_host, builder, permilles=lacking, enough_s=_ENOUGH_S)
        )
        profile = measured if known is None else known.with_samples(measured.samples)
        logger.info(
            "measured this host for bundle %s at ratios of %s thousandths",
            key.bundle_digest[:12],
            ", ".join(map(str, lacking)),
        )
        if idle:
            await self._shared.put(key, json.dumps(profile.to_json()))
            await asyncio.to_thread(_write, path, profile)
        return profile

    async def _fetch(self, key: ProfileKey) -> HostProfile | None:
        """Return what a replica on a like host has shared."""
        text = await self._shared.get(key)
        return None if text is None else _parsed(text, key)


def _lacking(
    known: HostProfile | None, builder: VariantBuilder, permilles: tuple[int, ...]
) -> tuple[int, ...]:
    """Which ratios are to be measured, ascending."""
    three = tuple(sorted({permilles[0], permilles[len(permilles) // 2], permilles[-1]}))
    if known is None:
        return three
    everything = builder.bundle.spec.full_presence
    masks = {p: builder.mask(everything, p / 1000) for p in three}
    flops = {p: builder.inventory.cost(everything, mask.keep).flops for p, mask in masks.items()}
    if all(known.spans(flops[p], len(everything)) for p in three):
        return ()
    measured = {s.flops for s in known.samples if s.modalities == len(everything)}
    return tuple(p for p in three if flops[p] not in measured)


def _read(path: Path, key: ProfileKey) -> HostProfile | None:
    try:
        return _parsed(path.read_text(encoding="utf-8"), key)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        logger.warning("host profile %s cannot be read: %s", path, error)
        return None


def _parsed(text: str, key: ProfileKey) -> HostProfile | None:
    """Read a profile; one that is damaged or of another host or bundle counts as absent."""
    try:
        profile = HostProfile.from_json(json.loads(text))
    except (ValueError, ConfigError) as error:
        logger.warning("host profile is damaged: %s", error)
        return None
    if (profile.bundle_digest, profile.fingerprint) != (key.bundle_digest, key.fingerprint):
        logger.warning("host profile is of another host or bundle")
        return None
    return profile


def _write(path: Path, profile: HostProfile) -> None:
    """Keep a profile; replaced in one step, so that a reader never sees half of it."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(profile.to_json()), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        logger.warning("host profile is not kept: %s", error)
