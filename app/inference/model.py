"""One model that is served: its bundle, variants and what they should cost on this host."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TypeVar

from app.errors import NotReadyError
from app.inference.ladder import Rung, costs
from app.inference.registry import VariantRegistry
from app.inference.repository import Stored
from app.scheduling import VariantCost
from app.settings import Settings
from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence, all_presences
from sentryfuse.spec import ModelSpec
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.profile import HostProfile

K = TypeVar("K")
V = TypeVar("V")

_MOST_LADDERS = 4096
_MOST_OPTIONS = 4096


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
        self._ladders: OrderedDict[Presence, tuple[Rung, ...]] = OrderedDict()
        self._options: OrderedDict[tuple[Presence, int], tuple[VariantCost, ...]] = OrderedDict()

    @property
    def bundle(self) -> Bundle:
        """What is served."""
        return self.builder.bundle

    @property
    def spec(self) -> ModelSpec:
        """Shape of the model."""
        return self.builder.bundle.spec

    async def ladder(self, presence: Presence) -> tuple[Rung, ...]:
        """Return the ratios on offer for a presence, least pruned first."""
        ladder = self._ladders.get(presence)
        if ladder is None:
            masks = [await self.registry.mask(presence, p) for p in self.permilles]
            ladder = await asyncio.to_thread(
                lambda: tuple(
                    Rung(
                        permille=mask.permille,
                        flops=self.builder.inventory.cost(presence, mask.keep).flops,
                        expected_accuracy=self.bundle.accuracy.expected(presence, mask.permille),
                    )
                    for mask in masks
                )
            )
            _keep(self._ladders, presence, ladder, _MOST_LADDERS)
        return ladder

    async def options(self, presence: Presence, batch: int) -> tuple[VariantCost, ...]:
        """Return what each ratio should cost on this host, whether it is in memory or not.

        Raises:
            NotReadyError: The host has not been measured yet.
        """
        options = self._options.get((presence, batch))
        if options is None:
            if self.profile is None:
                raise NotReadyError(f"model {self.name} is getting ready", retry_after_s=1.0)
            options = costs(
                await self.ladder(presence),
                self.profile,
                modalities=len(presence),
                batch=batch,
                threads=self._settings.threads,
                watts_per_core=self._settings.watts_per_core,
            )
            _keep(self._options, (presence, batch), options, _MOST_OPTIONS)
        return options

    def resident(self, presence: Presence) -> frozenset[int]:
        """Ratios of a presence whose variants are in memory."""
        return self.registry.resident(presence, self.permilles)

    def warm_keys(self) -> list[tuple[Presence, int]]:
        """Variants to build before the model is ready, as many as may stay in memory.

        All ratios for the full presence; for the others, fewest sensors missing first, one small
        variant each. So a request in a hurry finds something whatever is missing, and what it
        would have liked better is built behind it.
        """
        size = len(self.spec.modalities)
        most_missing = min(self._settings.warm_missing, size - 1)
        stand_in = min(self.permilles, key=lambda p: abs(p - 1000 * self._settings.warm_ratio))
        keys = [(self.spec.full_presence, permille) for permille in self.permilles]
        for missing in range(1, most_missing + 1):
            keys += [(presence, stand_in) for presence in all_presences(size, missing)]
        return keys[: self.registry.limit]


def _keep(cache: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    """Remember a value; the oldest one goes when there are too many."""
    cache[key] = value
    if len(cache) > limit:
        cache.popitem(last=False)
