from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakSet

from sentryfuse.presence import all_presences
from sentryfuse.variants import Variant, profile_host
from tests.served import served_model

LIMIT = 4


def test_sets_of_sensors_that_come_and_go_leave_no_more_variants_than_twice_the_limit() -> None:
    alive: WeakSet[Variant] = WeakSet()

    async def ask_for_every_set(builders: ThreadPoolExecutor) -> None:
        model = served_model(builders=builders, ratios=(0.0, 0.9), max_variants=LIMIT)
        model.lineups.profile = profile_host(model.builder, permilles=(0,), batches=(1,), repeats=1)
        for presence in all_presences(5):
            lineup = await model.lineup(presence)
            alive.add((await model.registry.get(presence, 900)).variant)
            assert 900 in lineup.residents
        del lineup
        gc.collect()
        assert len(alive) <= 2 * LIMIT

    with ThreadPoolExecutor(max_workers=1) as builders:
        asyncio.run(ask_for_every_set(builders))


def test_who_waits_with_a_set_that_went_is_served_all_the_same() -> None:
    async def wait_while_others_ask(builders: ThreadPoolExecutor) -> None:
        model = served_model(builders=builders, ratios=(0.0, 0.9), max_variants=LIMIT)
        model.lineups.profile = profile_host(model.builder, permilles=(0,), batches=(1,), repeats=1)
        first, *others = all_presences(5)
        lineup = await model.lineup(first)
        await model.registry.get(first, 900)
        for presence in others:
            await model.lineup(presence)
            await model.registry.get(presence, 900)
        assert (first, 900) not in model.registry
        assert lineup.use(900).variant.card.presence == first
        assert await model.lineup(first) is not lineup

    with ThreadPoolExecutor(max_workers=1) as builders:
        asyncio.run(wait_while_others_ask(builders))
