"""The variants of one model in memory: built on demand, once each, the least used dropped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

from app.inference.heap import give_back_free_pages
from app.storage import MaskKey
from app.telemetry.metrics import Metrics
from app.telemetry.variants import Owner, VariantMeters
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.variants import Variant, VariantBuilder

logger = logging.getLogger(__name__)

_SMOOTHING = 0.2
Key = tuple[Presence, int]


class Masks(Protocol):
    """Where masks come from: a cache in front of the gate."""

    async def get_or_compute(self, key: MaskKey, compute: Callable[[], Mask]) -> Mask:
        """Return the mask of this key."""
        ...


@dataclass(frozen=True, slots=True)
class Resident:
    """A variant in memory and its counters."""

    variant: Variant
    meters: VariantMeters


class VariantRegistry:
    """Holds a bounded number of variants of one model.

    Lives on one event loop; only the building itself happens on a thread of ``builders``. Metrics
    show its variants from :meth:`show` to :meth:`hide`.

    Args:
        name: Name of the model, for metrics and logs.
        version: Its version.
        builder: Makes masks and variants.
        masks: Masks already known, here or to other replicas.
        builders: Where variants are built, away from the event loop and the inference threads.
        limit: Most variants in memory.
        metrics: Told of every variant that comes and goes.
    """

    def __init__(
        self,
        name: str,
        version: str,
        builder: VariantBuilder,
        masks: Masks,
        *,
        builders: Executor,
        limit: int,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self.limit = limit
        self.changed: Callable[[Presence], None] = lambda _: None
        """Called with a presence whenever a variant of it came or went."""
        self.build_s = 0.1
        """How long a build takes, a running mean."""
        self._builder = builder
        self._masks = masks
        self._builders = builders
        self._metrics = metrics
        self._owner = Owner(name, version, builder.bundle.spec.modality_names)
        self._shown = False
        self._held: OrderedDict[Key, Resident] = OrderedDict()
        self._building: dict[Key, asyncio.Task[Resident]] = {}
        self._jobs: dict[Key, Future[Variant]] = {}
        self._wanted: Counter[Key] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Resident]:
        return iter(tuple(self._held.values()))

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def held(self, presence: Presence, permilles: Iterable[int]) -> dict[int, Resident]:
        """Which of these ratios are in memory for a presence."""
        return {p: self._held[presence, p] for p in permilles if (presence, p) in self._held}

    def find(self, presence: Presence, permille: int) -> Resident | None:
        """Return a variant if it is in memory, and mark it as used."""
        held = self._held.get((presence, permille))
        if held is not None:
            self._held.move_to_end((presence, permille))
        return held

    async def get(
        self, presence: Presence, permille: int, builders: Executor | None = None
    ) -> Resident:
        """Return a variant, building it first if need be; concurrent callers share one build.

        When all of them have been cancelled and its turn has not come, it is not built.

        Args:
            presence: Which modalities it is for.
            permille: Pruning ratio in thousandths.
            builders: Threads that build in the place of the usual ones.
        """
        held = self.find(presence, permille)
        if held is not None:
            return held
        key = (presence, permille)
        task = self._building.get(key)
        if task is None:
            task = asyncio.create_task(self._build(presence, permille, builders))
            self._building[key] = task
        self._wanted[key] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._wanted[key] -= 1
            if not self._wanted[key]:
                self._leave_unbuilt(key)

    def _leave_unbuilt(self, key: Key) -> None:
        """Nobody waits for a build: strike it out, unless it is done or under way."""
        del self._wanted[key]
        job = self._jobs.get(key)
        if job is not None and job.cancel():
            del self._building[key]

    def show(self) -> None:
        """Have metrics show what is in memory, now and later."""
        assert not self._shown
        self._shown = True
        self._metrics.show_model(self._owner, self._builder.bundle.digest)
        for resident in self._held.values():
            self._metrics.show(resident.meters)

    def hide(self) -> None:
        """Have metrics forget everything."""
        if self._shown:
            self._shown = False
            self._metrics.hide_model(self._owner, self._builder.bundle.digest)
            for resident in self._held.values():
                self._metrics.hide(resident.meters)

    def drop(self) -> None:
        """Let go of every variant, and show none that is built from now on."""
        self.hide()
        self._held.clear()

    async def stop_building(self) -> None:
        """Give up what is being built: the threads that build are about to end."""
        tasks = tuple(self._building.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def mask(self, presence: Presence, permille: int) -> Mask:
        """Return the mask of a variant, from the cache or the gate."""
        bundle, ratio = self._builder.bundle, permille / 1000
        key = MaskKey(bundle.digest, presence, permille, self._builder.inventory.num_units)
        return await self._masks.get_or_compute(key, lambda: self._builder.mask(presence, ratio))

    async def _build(
        self, presence: Presence, permille: int, builders: Executor | None
    ) -> Resident:
        try:
            return await self._built(presence, permille, builders or self._builders)
        finally:
            if self._building.get((presence, permille)) is asyncio.current_task():
                del self._building[presence, permille]

    async def _built(self, presence: Presence, permille: int, builders: Executor) -> Resident:
        mask = await self.mask(presence, permille)
        began = time.perf_counter()
        key = (presence, permille)
        job = self._jobs[key] = builders.submit(self._build_on_thread, mask)
        try:
            variant = await asyncio.wrap_future(job)
        finally:
            if self._jobs.get(key) is job:
                del self._jobs[key]
        took = time.perf_counter() - began
        self.build_s += _SMOOTHING * (took - self.build_s)
        built = Resident(variant, self._metrics.meters(self._owner, variant.card))
        logger.debug("built %s of %s at %d, %.3f s", presence.hex, self.name, permille, took)
        self._keep(presence, permille, built)
        return built

    def _build_on_thread(self, mask: Mask) -> Variant:
        try:
            return self._builder.build(mask)
        finally:
            if self._shown:  # before that the loader sees to it, once for all
                give_back_free_pages()

    def _keep(self, presence: Presence, permille: int, built: Resident) -> None:
        while len(self._held) >= self.limit:
            self._drop_least_used()
        self._held[presence, permille] = built
        if self._shown:
            self._metrics.show(built.meters)
        self.changed(presence)

    def _drop_least_used(self) -> None:
        (presence, permille), old = self._held.popitem(last=False)
        if self._shown:
            self._metrics.hide(old.meters)
        logger.info("dropped %s of %s at %d", presence.hex, self.name, permille)
        self.changed(presence)
