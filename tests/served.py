"""A served model from made-up parts, for tests that need no directory of bundles."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from app.inference.model import ServedModel
from app.inference.registry import VariantRegistry
from app.inference.repository import Stored
from app.settings import Settings
from app.storage import MemoryMaskCache, TieredMaskCache
from app.telemetry.metrics import Metrics
from sentryfuse.bundle import Bundle
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle


def served_model(
    name: str = "toy",
    version: str = "1",
    *,
    bundle: Bundle | None = None,
    builders: Executor | None = None,
    **settings: object,
) -> ServedModel:
    """Return a model that is not warm yet; its threads start when it first builds something."""
    chosen = Settings(**settings)
    builder = VariantBuilder(bundle or random_bundle())
    registry = VariantRegistry(
        name,
        version,
        builder,
        TieredMaskCache(MemoryMaskCache(2**20)),
        builders=builders or ThreadPoolExecutor(max_workers=1),
        limit=chosen.max_variants,
        metrics=Metrics(),
    )
    return ServedModel(Stored(name, version, Path()), builder, registry, chosen)
