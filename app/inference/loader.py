"""From a stored bundle to a model that is ready: read, verified, measured, built and run once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import TypeVar

from app.inference.heap import buffers_together, give_back_buffers, weights_apart
from app.inference.model import ServedModel
from app.inference.profiles import HostProfiles
from app.inference.registry import Resident, VariantRegistry
from app.inference.rehearsal import rehearse
from app.inference.repository import Stored
from app.settings import Settings
from app.storage import MaskKey, TieredMaskCache
from app.telemetry.metrics import Metrics
from sentryfuse.bundle import read_bundle
from sentryfuse.presence import Presence
from sentryfuse.variants import HostProfile, VariantBuilder

logger = logging.getLogger(__name__)

_Item = TypeVar("_Item")

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
        abreast: How many variants are built at once where no model is served yet: one for each
            core, since nobody else needs them.
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
        abreast: int = 1,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._masks = masks
        self._profiles = profiles
        self._builders = builders
        self._metrics = metrics
        self._abreast = abreast
        self._sleep = sleep

    def read(self, stored: Stored) -> ServedModel:
        """Read and verify a bundle; any thread may.

        Raises:
            BundleError: It is missing, damaged, foreign or of another schema.
        """
        settings = self._settings
        builder = VariantBuilder(
            read_bundle(stored.path), threads=settings.threads, engine=settings.engine
        )
        registry = VariantRegistry(
            stored.name,
            stored.version,
            builder,
            self._masks,
            builders=self._builders,
            limit=settings.max_variants,
            metrics=self._metrics,
        )
        return ServedModel(stored, builder, registry, settings)

    async def make_ready(
        self, model: ServedModel, beside: Iterable[ServedModel] = (), *, starting: bool = False
    ) -> None:
        """Measure the host for a model, build its warm variants and run each.

        Beside models that are served this takes three times as long, and a third of a core:
        requests come first.

        Args:
            model: Nobody uses it yet.
            beside: Models that are served meanwhile.
            starting: The service is not ready yet, so that hardly anybody asks them.

        Raises:
            BundleError: It answers what is no finite number.
        """
        began_s = time.perf_counter()
        others = tuple(beside)
        alone = starting or not any(other.warm for other in others)
        buffers_together()
        with _passing_threads(1, "profile") as thread:
            model.lineups.profile = await self._profiles.obtain(
                model.builder,
                model.permilles,
                thread,
                like=_profile_of_a_twin(model, others),
                idle=alone,
            )
            await asyncio.get_running_loop().run_in_executor(thread, give_back_buffers)
        try:
            with self._threads(alone=alone) as threads:
                await self._warm(model, threads, alone=alone)
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

    @contextmanager
    def _threads(self, *, alone: bool) -> Iterator[Executor]:
        """Threads that build: more than one only for as long as nothing is served."""
        if not alone or self._abreast == 1:
            yield self._builders
            return
        with _passing_threads(self._abreast, "warm") as threads:
            yield threads

    async def _warm(self, model: ServedModel, threads: Executor, *, alone: bool) -> None:
        keys = model.warm_keys()
        presences = tuple(dict.fromkeys(presence for presence, _ in keys))
        units, digest = model.builder.inventory.num_units, model.bundle.digest
        await self._masks.preload(
            MaskKey(digest, p, permille, units)
            for p, permille in product(presences, model.permilles)
        )

        async def build(key: tuple[Presence, int]) -> None:
            await model.registry.get(*key, threads)

        async def run(resident: Resident) -> None:
            def rehearsal() -> None:
                rehearse([resident.variant], model.spec)
                give_back_buffers()

            await asyncio.get_running_loop().run_in_executor(threads, rehearsal)

        with weights_apart():
            await self._each(keys, build, alone=alone)
        for presence in presences:
            await model.lineup(presence)
        await self._each(model.registry, run, alone=alone)

    async def _each(
        self, items: Iterable[_Item], step: Callable[[_Item], Awaitable[None]], *, alone: bool
    ) -> None:
        """Take a step for each item: beside requests with a rest after each, else abreast."""
        left = iter(items)

        async def work() -> None:
            for item in left:
                began_s = time.perf_counter()
                await step(item)
                took_s = time.perf_counter() - began_s
                await self._sleep(0.0 if alone else _REST * took_s)

        hands = [asyncio.create_task(work()) for _ in range(self._abreast if alone else 1)]
        try:
            await asyncio.gather(*hands)
        finally:
            for hand in hands:
                hand.cancel()


@contextmanager
def _passing_threads(count: int, name: str) -> Iterator[Executor]:
    """Threads that end with the block, and with them the heaps of their own that glibc gives them.

    What is measured and rehearsed on threads that stay costs half as much memory again.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield threads
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)  # the event loop waits for nobody
        raise
    threads.shutdown()  # they have nothing left to do


def _profile_of_a_twin(model: ServedModel, others: Iterable[ServedModel]) -> HostProfile | None:
    """What was measured for a model of the same shape: other weights take no other time."""
    for other in others:
        if other.profile is not None and other.spec == model.spec:
            return replace(other.profile, bundle_digest=model.bundle.digest)
    return None
