"""Builds variants that requests want: first, if the budget allows; behind them, if not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.answering.ask import Ask
from app.answering.leaving import unless_gone
from app.answering.planning import Planner
from app.errors import RequestError
from app.inference.lineup import Lineup
from app.inference.model import ServedModel
from app.inference.registry import Resident, VariantRegistry
from sentryfuse.presence import Presence

logger = logging.getLogger(__name__)

_MOST_PREFETCHES = 4


class Supply:
    """Sees to it that a request finds something to run. Lives on one event loop.

    Args:
        planner: Knows which variant a request wants.
        crowded: Whether requests wait for a core; nothing is built ahead then, for building
            takes time of the cores.
        clock: Monotone seconds.
    """

    def __init__(
        self, planner: Planner, *, crowded: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._planner = planner
        self._crowded = crowded
        self._clock = clock
        self._prefetches: dict[tuple[VariantRegistry, Presence, int], asyncio.Task[Resident]] = {}

    async def ensure(self, model: ServedModel, ask: Ask, lineup: Lineup) -> float:
        """Build what must be built before this request is served; return how long it took.

        Raises:
            RequestError: The budget is strict and can't be met.
            ClientGoneError: Nobody waits for the answer any more.
        """
        try:
            permille = self._planner.to_build(ask, lineup, build_s=model.registry.build_s)
        except RequestError:
            self._build_ahead(model, ask, lineup)  # or whoever comes back is refused for ever
            raise
        began_s = self._clock()
        if permille is not None:
            await unless_gone(model.registry.get(lineup.presence, permille), ask.gone)
        took_s = 0.0 if permille is None else self._clock() - began_s
        self._build_ahead(model, ask, lineup)
        return took_s

    def close(self) -> None:
        """Give up what is being built ahead."""
        for task in self._prefetches.values():
            task.cancel()

    def _build_ahead(self, model: ServedModel, ask: Ask, lineup: Lineup) -> None:
        """Build the variant that this request would have liked, for those that follow it."""
        if len(self._prefetches) >= _MOST_PREFETCHES or self._crowded():
            return
        permille = self._planner.wish(ask, lineup)
        if permille is None or permille in lineup.residents:
            return
        key = (model.registry, lineup.presence, permille)
        if key in self._prefetches:
            return
        task = asyncio.create_task(model.registry.get(lineup.presence, permille))
        self._prefetches[key] = task

        def ended(task: asyncio.Task[Resident]) -> None:
            del self._prefetches[key]
            if not task.cancelled() and task.exception() is not None:
                logger.error(
                    "could not build %s of %s ahead at %d",
                    *(lineup.presence.hex, key[0].name, permille),
                    exc_info=task.exception(),
                )

        task.add_done_callback(ended)
