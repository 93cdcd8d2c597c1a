"""Getting ready, in this process, with a tiny bundle."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from sentryfuse.bundle import write_bundle
from tests.bundles import random_bundle, small_spec


@pytest.fixture
def collector_at_rest() -> Iterator[None]:
    """As ``serve`` leaves it while the service gets ready."""
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def how_it_starts(folder: Path) -> str:
    """Start the service, wait for how that ends, and stop it; return the phase it came to."""
    write_bundle(random_bundle(small_spec(((4, 2), (3, 1)))), folder / "models" / "toy" / "1")
    app = create_app(
        Settings(models=folder / "models", profiles=folder / "profiles", cores=2, warm_missing=0)
    )
    lifecycle = app.parts.lifecycle

    async def play() -> str:
        await lifecycle.start()
        while lifecycle.phase == "starting":
            await asyncio.sleep(0.01)
        phase = lifecycle.phase
        await lifecycle.stop()
        return phase

    return asyncio.run(play())


@pytest.mark.usefixtures("collector_at_rest")
def test_garbage_is_collected_once_the_service_is_ready(tmp_path: Path) -> None:
    assert how_it_starts(tmp_path) == "ready"
    assert gc.isenabled()


@pytest.mark.usefixtures("collector_at_rest")
def test_garbage_is_collected_where_the_service_could_not_get_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no memory left")

    monkeypatch.setattr("app.inference.loader.rehearse", broken)
    assert how_it_starts(tmp_path) == "failed"
    assert gc.isenabled()
