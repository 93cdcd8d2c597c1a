"""One model that is served: its bundle, variants and what they should cost on this host."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import product

from app.errors import NotReadyError
from app.inference.ladder import Rung, costs
from app.inference.lineup import Lineup
from app.inference.registry import VariantRegistry
from app.inference.repository import Stored
from app.scheduling import VariantCost
from app.settings import Settings
from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence, all_presences
from sentryfuse.spec import ModelSpec
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.profile import HostProfile

_MOST_LINEUPS = 4096


class ServedModel:
    """A model under its name and version.

    Args:
        stored: Where it came from.
        builder: Makes its variants.
        registry: Holds them.
        settings: Ratios, threads and power of a core.
    """

    def __init__(
        self,
        stored: Stored,
        builder: VariantBuilder,
        registry: VariantRegistry,
        settings: Settings,
    ) -> None:
        self.name = stored.name
        self.version = stored.version
        self.modality_names = builder.bundle.spec.modality_names
        self.builder = builder
        self.registry = registry
        self.permilles = settings.permilles
        self.profile: HostProfile | None = None
        self.warm = False
        self._settings = settings
        self._lineups: OrderedDict[Presence, Lineup] = OrderedDict()
        registry.changed = self._changed

    @property
    def bundle(self) -> Bundle:
        """What is served."""
        return self.builder.bundle

    @property
    def spec(self) -> ModelSpec:
        """Shape of the model."""
        return self.builder.bundle.spec

    async def lineup(self, presence: Presence) -> Lineup:
        """Return what can be run for a presence.

        Raises:
            NotReadyError: The host has not been measured yet.
        """
        lineup = self._lineups.get(presence)
        if lineup is None:
            if self.profile is None:
                raise NotReadyError(f"model {self.name} is getting ready", retry_after_s=1.0)
            price = partial(self._price, self.profile, len(presence))
            rungs = await self._ladder(presence)
            lineup = self._lineups.get(presence)  # a request beside this one may have been first
            if lineup is None:
                lineup = self._lineups[presence] = Lineup(presence, rungs, price, self.registry)
            if len(self._lineups) > _MOST_LINEUPS:
                self._lineups.popitem(last=False)
        return lineup

    async def _ladder(self, presence: Presence) -> tuple[Rung, ...]:
        masks = [await self.registry.mask(presence, p) for p in self.permilles]
        return await asyncio.to_thread(
            lambda: tuple(
                Rung(
                    permille=mask.permille,
                    flops=self.builder.inventory.cost(presence, mask.keep).flops,
                    expected_accuracy=self.bundle.accuracy.expected(presence, mask.permille),
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
        lineup = self._lineups.get(presence)
        if lineup is not None:
            lineup.refresh()

    def warm_keys(self) -> list[tuple[Presence, int]]:
        """Variants to build before the model is ready, as many as may stay in memory.

        All ratios for the full presence; for the others, fewest sensors missing first, one small
        variant each (or every ratio, if that is set). So a request in a hurry finds something
        whatever is missing, and what it would have liked better is built behind it.
        """
        size = len(self.spec.modalities)
        most_missing = min(self._settings.warm_missing, size - 1)
        stand_in = min(self.permilles, key=lambda p: abs(p - 1000 * self._settings.warm_ratio))
        keys = [(self.spec.full_presence, permille) for permille in self.permilles]
        others = self.permilles if self._settings.warm_all else (stand_in,)
        for missing in range(1, most_missing + 1):
            keys += product(all_presences(size, missing), others)
        return keys[: self.registry.limit]
