"""A real repository of tiny bundles, its control and all that it needs, in one process."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.inference.catalogue import Catalogue
from app.inference.control import ModelControl
from app.inference.departures import Departures
from app.inference.loader import Loader
from app.inference.model import ServedModel
from app.inference.profiles import HostProfiles
from app.inference.repository import Stored
from app.settings import Settings
from app.storage import MemoryMaskCache, SharedProfiles, TieredMaskCache
from app.telemetry.metrics import Metrics
from sentryfuse.bundle import write_bundle
from tests.bundles import random_bundle, small_spec

SPEC = small_spec(((4, 2), (3, 1)), embed_dim=4, num_heads=1, num_kv_heads=1, ffn_dim=4)


class WatchedLoader(Loader):
    """A real loader that counts, and waits or fails when told to."""

    read_so_far = 0
    to_warm = 0
    broken = False
    held: asyncio.Event | None = None

    def read(self, stored: Stored) -> ServedModel:
        self.read_so_far += 1
        return super().read(stored)

    async def make_ready(
        self, model: ServedModel, beside: object = (), *, starting: bool = False
    ) -> None:
        self.to_warm += 1
        if self.held is not None:
            await self.held.wait()
        if self.broken:
            raise RuntimeError("no memory left")
        await super().make_ready(model, beside=beside, starting=starting)  # type: ignore[arg-type]


class Repository:
    """A directory of bundles, and what serves them.

    Args:
        folder: An empty directory.
        newest: Versions of each model that are served.
        deadline_s: Of a load.
        departure_s: After which who holds a model that is served no more is not waited for.
        abreast: Variants that are built at once while nothing is served.
    """

    def __init__(
        self,
        folder: Path,
        *,
        newest: int = 1,
        deadline_s: float = 60.0,
        departure_s: float = 60.0,
        abreast: int = 1,
    ) -> None:
        self.root = folder / "models"
        self.root.mkdir()
        self.metrics = Metrics()
        self.models = Catalogue()
        self.masks = TieredMaskCache(MemoryMaskCache(2**20))
        self.builders = ThreadPoolExecutor(max_workers=1)
        self.settings = Settings(ratios=(0.0, 0.9), warm_missing=0, batch_windows=2)
        self.rests: list[float] = []
        self.loader = WatchedLoader(
            self.settings,
            masks=self.masks,
            profiles=HostProfiles(folder / "profiles", SharedProfiles(None)),
            builders=self.builders,
            metrics=self.metrics,
            abreast=abreast,
            sleep=self._rest,
        )
        self.departures = Departures(deadline_s=departure_s)
        self.control = ModelControl(
            self.root,
            self.models,
            self.loader,
            self.departures,
            self.metrics,
            newest=newest,
            deadline_s=deadline_s,
        )

    def store(self, name: str, version: str, *, seed: int = 0) -> str:
        """Put a bundle into the directory; return its digest."""
        return write_bundle(random_bundle(SPEC, seed=seed), self.root / name / version)

    def spoil(self, name: str, version: str) -> None:
        """Truncate the weights of what is stored."""
        weights = self.root / name / version / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])

    def remove(self, name: str, version: str) -> None:
        """Take a version out of the directory."""
        shutil.rmtree(self.root / name / version)

    @property
    def served(self) -> set[tuple[str, str]]:
        """Names and versions."""
        return {(model.name, model.version) for model in self.models}

    async def states(self) -> dict[tuple[str, str], tuple[str, str]]:
        """State and reason by name and version."""
        return {(s.name, s.version): (s.state, s.reason) for s in await self.control.index()}

    async def _rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Let go of everything."""
        await self.control.close()
        self.builders.shutdown()
        await self.masks.close()


def play(repository: Repository, scenario: Callable[[Repository], Awaitable[None]]) -> None:
    """Run a scenario on an event loop of its own."""

    async def run() -> None:
        try:
            await scenario(repository)
        finally:
            await repository.close()

    asyncio.run(run())
