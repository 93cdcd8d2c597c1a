"""One model that is served: its bundle, variants and what they should cost on this host."""

from __future__ import annotations

from itertools import product

from app.inference.lineup import Lineup
from app.inference.lineups import Lineups
from app.inference.registry import VariantRegistry
from app.inference.repository import Stored
from app.settings import Settings
from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence, all_presences
from sentryfuse.spec import ModelSpec
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.profile import HostProfile


class ServedModel:
    """A model under its name and version.

    Nothing that it owns refers back to it: whoever answers a request holds the model, and when it
    is served no more it goes with the last of them (:class:`app.inference.departures.Departures`).

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
        self.lineups = Lineups(builder, registry, settings)
        self.permilles = settings.permilles
        self.warm = False
        self._settings = settings

    @property
    def bundle(self) -> Bundle:
        """What is served."""
        return self.builder.bundle

    @property
    def spec(self) -> ModelSpec:
        """Shape of the model."""
        return self.builder.bundle.spec

    @property
    def profile(self) -> HostProfile | None:
        """What this host needs for it; None until that is known."""
        return self.lineups.profile

    async def lineup(self, presence: Presence) -> Lineup:
        """Return what can be run for a presence.

        Raises:
            NotReadyError: The host has not been measured yet.
        """
        return await self.lineups.of(presence)

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
