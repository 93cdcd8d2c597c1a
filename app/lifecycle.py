"""From start to stop: measure, warm up, serve, drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from concurrent.futures import Executor
from typing import Literal

from app.inference.heap import weights_apart
from app.inference.model import ServedModel
from app.inference.profiles import HostProfiles
from app.service import InferenceService
from app.storage import MaskKey, TieredMaskCache
from app.upkeep import Upkeep

logger = logging.getLogger(__name__)

Phase = Literal["starting", "ready", "draining", "failed"]


class Lifecycle:
    """Knows whether the service should get requests, and makes it so.

    Args:
        service: What is started and stopped.
        profiles: Where host profiles come from.
        upkeep: Run as long as the service.
        masks: Closed at the end.
        builders: Threads that build variants; shut down at the end.
    """

    def __init__(
        self,
        service: InferenceService,
        *,
        profiles: HostProfiles,
        upkeep: Upkeep,
        masks: TieredMaskCache,
        builders: Executor,
    ) -> None:
        self._service = service
        self._profiles = profiles
        self._upkeep = upkeep
        self._masks = masks
        self._builders = builders
        self._phase: Phase = "starting"
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def phase(self) -> Phase:
        """What the service is doing."""
        if self._phase == "ready" and not self._service.pump.alive:
            return "failed"
        return self._phase

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.phase == "ready"

    async def start(self) -> None:
        """Start the workers, and get ready in the background: liveness answers meanwhile."""
        self._service.pump.start()
        self._tasks = [
            asyncio.create_task(work) for work in (self._get_ready(), self._upkeep.run())
        ]

    def drain(self) -> None:
        """Ask for no more requests; those that come all the same are served."""
        logger.info("draining")
        self._phase = "draining"

    async def stop(self) -> None:
        """Let go of everything; requests have been answered by now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._service.close()
        await asyncio.to_thread(self._builders.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._service.pump.close)
        await asyncio.to_thread(self._upkeep.close)
        await self._masks.close()

    async def _get_ready(self) -> None:
        began_s = time.perf_counter()
        try:
            for model in self._service.models:
                model.profile = await self._profiles.obtain(
                    model.builder, model.permilles, self._builders
                )
            with weights_apart():
                for model in self._service.models:
                    await self._warm(model)
        except Exception:
            logger.exception("could not get ready")
            self._phase = "failed"
            return
        # What is here now stays: no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        if self._phase == "starting":
            self._phase = "ready"
        logger.info("ready after %.1f s", time.perf_counter() - began_s)

    async def _warm(self, model: ServedModel) -> None:
        keys = model.warm_keys()
        units = model.builder.inventory.num_units
        digest = model.bundle.digest
        await self._masks.preload(MaskKey(digest, p, permille, units) for p, permille in keys)
        for presence, permille in keys:
            await model.registry.get(presence, permille)
        for presence in dict.fromkeys(presence for presence, _ in keys):
            await model.lineup(presence)
        model.warm = True
        logger.info("%s version %s is warm: %d variants", model.name, model.version, len(keys))
