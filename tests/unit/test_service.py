from __future__ import annotations

import asyncio
from pathlib import Path

from app.answering.overhead import Overhead
from app.errors import DeadlineError
from app.main import create_app
from app.scheduling import Budget
from app.service import InferenceService
from app.settings import Settings
from sentryfuse.bundle import write_bundle
from tests.bundles import random_bundle


def service_of(folder: Path) -> InferenceService:
    write_bundle(random_bundle(), folder / "models" / "toy" / "1")
    settings = Settings(models=folder / "models", profiles=folder / "profiles", cores=1)
    return create_app(settings).parts.service


def test_an_overhead_that_keeps_an_idle_machine_from_reading_fades(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    service._overhead = Overhead(mean_s=0.2, deviation_s=0.05)
    service.scheduler.overhead_s = service._overhead.allowance_s
    budget = Budget(latency_s=0.05, strict=True)

    async def until_let_in() -> int:
        for attempt in range(200):
            turns = (service.turn_to_read(budget, service.clock()) for _ in range(2))
            outcomes = await asyncio.gather(*turns, return_exceptions=True)
            assert all(isinstance(o, float | DeadlineError) for o in outcomes)
            if not any(isinstance(o, DeadlineError) for o in outcomes):
                return attempt
        return 200

    assert 1 < asyncio.run(until_let_in()) < 100
