"""From a stored bundle to a model that is ready: read, verified, measured, built and run once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from itertools import product

from app.inference.heap import weights_apart
from app.inference.model import ServedModel
from app.inference.profiles import HostProfiles
from app.inference.registry import VariantRegistry
from app.inference.rehearsal import rehearse
from app.inference.repository import Stored
from app.settings import Settings
from app.storage import MaskKey, TieredMaskCache
from app.telemetry.metrics import Metrics
from sentryfuse.bundle import read_bundle
from sentryfuse.variants import HostProfile, VariantBuilder

logger = logging.getLogger(__name__)

_REST = (
    2.0  # beside requests: after each step so many times as long, which leaves a third of a core
)


class Loader:
    """Makes models ready, one after the other.

    Args:
        settings: Of the service.
        masks: Where masks come from.
        profiles: Where host profiles come from.
        builders: Threads that measure and build.
        metrics: Told of variants once their model is served.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        masks: TieredMaskCache,
        profiles: HostProfiles,
        builders: Executor,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._masks = masks
        self._profiles = profiles
        self._builders = builders
        self._metrics = metrics
        self._sleep = sleep

    def read(self, stored: Stored) -> ServedModel:
        """Read and verify a bundle; any thread may.

        Raises:
            BundleError: It is missing, damaged, foreign or of another schema.
        """
        builder = VariantBuilder(read_bundle(stored.path), threads=self._settings.threads)
        registry = VariantRegistry(
            stored.name,
            stored.version,
            builder,
            self._masks,
            builders=self._builders,
            limit=self._settings.max_variants,
            metrics=self._metrics,
        )
        return ServedModel(stored, builder, registry, self._settings)

    async def make_ready(self, model: ServedModel, beside: Iterable[ServedModel] = ()) -> None:
        """Measure the host for a model, build its warm variants and run each.

        Beside models that are served this takes three times as long, and a third of a core:
        requests come first.

        Args:
            model: Nobody uses it yet.
            beside: Models that are served meanwhile.

        Raises:
            BundleError: It answers what is no finite number.
        """
        began_s = time.perf_counter()
        others = tuple(beside)
        alone = not any(other.warm for other in others)
        model.lineups.profile = await self._profiles.obtain(
            model.builder,
            model.permilles,
            self._builders,
            like=_profile_of_a_twin(model, others),
            idle=alone,
        )
        try:
            with weights_apart():
                await self._warm(model, rest=0.0 if alone else _REST)
            model.warm = True
        finally:
            if not model.warm:
                await model.registry.stop_building()
        logger.info(
            "%s version %s is warm: %d variants, %.1f s",
            model.name,
            model.version,
            len(model.registry),
            time.perf_counter() - began_s,
        )

    async def _warm(self, model: ServedModel, *, rest: float) -> None:
        keys = model.warm_keys()
        presences = tuple(dict.fromkeys(presence for presence, _ in keys))
        units, digest = model.builder.inventory.num_units, model.bundle.digest
        await self._masks.preload(
            MaskKey(digest, p, permille, units)
            for p, permille in product(presences, model.permilles)
        )
        for presence, permille in keys:
            began_s = time.perf_counter()
            await model.registry.get(presence, permille)
            await self._sleep(rest * (time.perf_counter() - began_s))
        for presence in presences:
            await model.lineup(presence)
        for resident in model.registry:
            began_s = time.perf_counter()
            await asyncio.get_running_loop().run_in_executor(
                self._builders,
                partial(
                    rehearse,
                    [resident.variant],
                    model.spec,
                    most_windows=self._settings.batch_windows,
                ),
            )
            await self._sleep(rest * (time.perf_counter() - began_s))


def _profile_of_a_twin(model: ServedModel, others: Iterable[ServedModel]) -> HostProfile | None:
    """What was measured for a model of the same shape: other weights take no other time."""
    for other in others:
        if other.profile is not None and other.spec == model.spec:
            return replace(other.profile, bundle_digest=model.bundle.digest)
    return None
