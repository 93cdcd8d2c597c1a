"""The lineups of one model, each made when its presence is first asked for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from app.errors import NotReadyError
from app.inference.ladder import Rung, costs
from app.inference.lineup import Lineup
from app.inference.registry import VariantRegistry
from app.scheduling import VariantCost
from app.settings import Settings
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.profile import HostProfile


class Lineups:
    """Finds what can be run for a presence.

    Each lineup holds on to the last variants that it had in memory, so there are no more of them
    than there may be variants: the least used goes first. Requests that wait keep theirs.

    Knows nothing of the :class:`ServedModel` that owns it, so that a model goes the moment that
    nobody holds it any more.

    Args:
        builder: Knows what a mask costs.
        registry: Holds the variants, and tells which came or went.
        settings: Ratios, threads and power of a core.
    """

    def __init__(
        self, builder: VariantBuilder, registry: VariantRegistry, settings: Settings
    ) -> None:
        self.profile: HostProfile | None = None
        self._builder = builder
        self._registry = registry
        self._settings = settings
        self._made: OrderedDict[Presence, Lineup] = OrderedDict()
        registry.changed = self._changed

    async def of(self, presence: Presence) -> Lineup:
        """Return what can be run for a presence.

        Raises:
            NotReadyError: The host has not been measured yet.
        """
        lineup = self._made.get(presence)
        if lineup is not None:
            self._made.move_to_end(presence)
        else:
            if self.profile is None:
                raise NotReadyError(
                    f"model {self._registry.name} is getting ready", retry_after_s=1.0
                )
            price = partial(self._price, self.profile, len(presence))
            rungs = await self._ladder(presence)
            lineup = self._made.get(presence)  # a request beside this one may have been first
            if lineup is None:
                lineup = self._made[presence] = Lineup(presence, rungs, price, self._registry)
            if len(self._made) > self._registry.limit:
                self._made.popitem(last=False)
        return lineup

    def drop(self) -> None:
        """Let go of every variant; who is late all the same has its own built again."""
        self._registry.drop()
        self._made.clear()

    def close(self) -> None:
        """Let go of everything, once nobody can ask any more."""
        self.drop()
        self._registry.changed = lambda _: None

    async def stop_building(self) -> None:
        """Give up what is being built."""
        await self._registry.stop_building()

    async def _ladder(self, presence: Presence) -> tuple[Rung, ...]:
        masks = [await self._registry.mask(presence, p) for p in self._settings.permilles]
        return await asyncio.to_thread(
            lambda: tuple(
                Rung(
                    permille=mask.permille,
                    flops=self._builder.inventory.cost(presence, mask.keep).flops,
                    expected_accuracy=self._builder.bundle.accuracy.expected(
                        presence, mask.permille
                    ),
                )
                for mask in masks
            )
        )

    def _price(
        self, profile: HostProfile, modalities: int, rungs: Sequence[Rung], windows: int
    ) -> tuple[VariantCost, ...]:
        return costs(
            rungs,
            profile,
            modalities=modalities,
            batch=windows,
            threads=self._settings.threads,
            watts_per_core=self._settings.watts_per_core,
        )

    def _changed(self, presence: Presence) -> None:
        """A variant was built or dropped."""
        lineup = self._made.get(presence)
        if lineup is not None:
            lineup.refresh()
