"""From start to stop: measure, warm up, serve, drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from concurrent.futures import Executor
from typing import Literal

from app.inference.control import ModelControl
from app.inference.heap import give_back_free_pages
from app.peers import Crew
from app.power.membership import Membership
from app.running.heartbeat import Heartbeat, Vitals, ailments
from app.running.start_pace import StartPace
from app.running.upkeep import Upkeep
from app.service import InferenceService
from app.storage import RedisLink, TieredMaskCache

logger = logging.getLogger(__name__)

Phase = Literal["starting", "ready", "draining", "failed"]


class Lifecycle:
    """Knows whether the service should get requests, and makes it so.

    Args:
        service: What is started and stopped.
        link: Connected before masks and profiles are asked for, if there is one.
        control: Makes the models ready.
        upkeep: Run as long as the service.
        masks: Closed at the end.
        builders: Threads that build variants; shut down at the end.
        heartbeat: Beats as long as the event loop goes round.
        stuck_s: An inference or event loop that takes longer will not come back.
        crew: The other processes of the service; None if there are none.
        membership: Keeps the node's loan of its site's power; None if it has none to keep.
        pace: Of getting ready; None for as fast as it goes.
    """

    def __init__(
        self,
        service: InferenceService,
        *,
        link: RedisLink | None,
        control: ModelControl,
        upkeep: Upkeep,
        masks: TieredMaskCache,
        builders: Executor,
        heartbeat: Heartbeat,
        stuck_s: float,
        crew: Crew | None = None,
        membership: Membership | None = None,
        pace: StartPace | None = None,
    ) -> None:
        self._service = service
        self._link = link
        self._control = control
        self._upkeep = upkeep
        self._masks = masks
        self._builders = builders
        self._heartbeat = heartbeat
        self._stuck_s = stuck_s
        self._crew = crew
        self._membership = membership
        self._pace = pace
        self._phase: Phase = "starting"
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def phase(self) -> Phase:
        """What the service is doing."""
        if self._phase == "ready" and self.ailments:
            return "failed"
        if self._phase == "ready" and self._crew is not None and self._crew.obstacles():
            return "starting"
        return self._phase

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.phase == "ready"

    @property
    def ready_itself(self) -> bool:
        """Whether this process is ready, whatever the others of the service are."""
        return self._phase == "ready" and not self.ailments

    @property
    def ailments(self) -> tuple[str, ...]:
        """What only a restart would cure, one sentence each; nothing while the process lives."""
        pump = self._service.pump
        vitals = Vitals(
            loop_s=self._heartbeat.late_s, inference_s=pump.longest_s, threads_alive=pump.alive
        )
        return ailments(vitals, stuck_s=self._stuck_s)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why no requests should be sent here, one sentence each; nothing if they should."""
        match self.phase:
            case "ready":
                return ()
            case "starting":
                others = () if self._crew is None else self._crew.obstacles()
                cold = [model for model in self._service.models if not model.warm]
                return tuple(
                    f"model {m.name} version {m.version} is getting ready" for m in cold
                ) or (others or ("the service is getting ready",))
            case "draining":
                return ("the service was told to end",)
            case "failed":
                return self.ailments or ("the service could not get ready; its log says why",)

    async def start(self) -> None:
        """Start the workers, and get ready in the background: liveness answers meanwhile."""
        self._service.pump.start()
        self._tasks = [
            asyncio.create_task(work)
            for work in (self._heartbeat.run(), self._get_ready(), self._upkeep.run())
        ]
        if self._crew is not None:
            self._tasks.append(asyncio.create_task(self._crew.run()))
        if self._membership is not None:
            self._tasks.append(asyncio.create_task(self._membership.run()))

    def drain(self) -> None:
        """Ask for no more requests; those that come all the same are served."""
        logger.info("draining")
        self._phase = "draining"

    async def stop(self) -> None:
        """Let go of everything; requests have been answered by now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._crew is not None:
            await self._crew.say_farewell()
        await self._control.close()
        self._service.close()
        for model in self._service.models:
            await model.registry.stop_building()
        await asyncio.to_thread(self._builders.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._service.pump.close)
        await asyncio.to_thread(self._upkeep.close)
        if self._membership is not None:
            await self._membership.close()
        await self._masks.close()

    def abandon(self) -> None:
        """Put back what would outlive the process, and nothing else: it ends at once."""
        self._upkeep.close()

    async def _get_ready(self) -> None:
        began_s = time.perf_counter()
        try:
            if self._link is not None:
                await self._link.connect()
            await self._control.start()
        except Exception:
            logger.exception("could not get ready")
            self._phase = "failed"
            return
        finally:
            gc.enable()
        if self._pace is not None:
            self._pace.over = True
        # What is here now stays: no collection needs to look at it, not even once. Of garbage there
        # is too little to be worth the tens of milliseconds in which nothing would be answered.
        gc.freeze()
        give_back_free_pages()
        if self._phase == "starting":
            self._phase = "ready"
        logger.info("ready after %.1f s", time.perf_counter() - began_s)
