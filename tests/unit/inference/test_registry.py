from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.inference.registry import VariantRegistry
from app.storage import MemoryMaskCache, TieredMaskCache
from app.telemetry.metrics import Metrics
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.variants import Variant, VariantBuilder
from tests.bundles import random_bundle
from tests.scrapes import scraped

FULL = Presence.full(5)
ONE = Presence.of([0], 5)


class CountingBuilder(VariantBuilder):
    """A real builder that counts, and fails when told to."""

    built = 0
    broken = False

    def build(self, mask: Mask) -> Variant:
        self.built += 1
        if self.broken:
            raise RuntimeError("no memory left")
        return super().build(mask)


class Bench:
    """A registry with everything it needs."""

    def __init__(self, limit: int) -> None:
        self.builder = CountingBuilder(random_bundle())
        self.metrics = Metrics()
        self.threads = ThreadPoolExecutor(max_workers=1)
        self.registry = VariantRegistry(
            "toy",
            "7",
            self.builder,
            TieredMaskCache(MemoryMaskCache(2**20)),
            builders=self.threads,
            limit=limit,
            metrics=self.metrics,
        )
        self.registry.show()

    def metric(self, name: str, presence: Presence, ratio: str) -> float | None:
        labels = {"model": "toy", "version": "7", "presence": presence.hex, "ratio": ratio}
        return scraped(self.metrics.render()).get((name, frozenset(labels.items())))


def run(scenario: Callable[[Bench], Awaitable[None]], limit: int = 8) -> None:
    async def play() -> None:
        bench = Bench(limit)
        try:
            await scenario(bench)
        finally:
            bench.threads.shutdown()

    asyncio.run(play())


def test_a_variant_is_built_once_and_then_found() -> None:
    async def scenario(bench: Bench) -> None:
        assert bench.registry.find(FULL, 500) is None
        built = await bench.registry.get(FULL, 500)
        assert (built.variant.card.presence, built.variant.card.permille) == (FULL, 500)
        assert await bench.registry.get(FULL, 500) is built
        assert bench.registry.find(FULL, 500) is built
        assert bench.builder.built == 1

    run(scenario)


def test_requests_that_want_the_same_variant_share_one_build() -> None:
    async def scenario(bench: Bench) -> None:
        got = await asyncio.gather(*(bench.registry.get(FULL, 900) for _ in range(5)))
        assert bench.builder.built == 1
        assert len({id(resident) for resident in got}) == 1

    run(scenario)


def test_a_request_that_gives_up_does_not_stop_the_build_for_others() -> None:
    async def scenario(bench: Bench) -> None:
        first = asyncio.create_task(bench.registry.get(FULL, 900))
        second = asyncio.create_task(bench.registry.get(FULL, 900))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).variant.card.permille == 900

    run(scenario)


def test_the_least_used_variant_makes_room() -> None:
    async def scenario(bench: Bench) -> None:
        for permille in (0, 500):
            await bench.registry.get(FULL, permille)
        bench.registry.find(FULL, 0)
        await bench.registry.get(ONE, 0)
        assert bench.registry.held(FULL, (0, 500)).keys() == {0}
        assert len(bench.registry) == 2

    run(scenario, limit=2)


def test_every_variant_that_comes_or_goes_is_told_of() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[tuple[Presence, frozenset[int]]] = []
        bench.registry.changed = lambda presence: seen.append(
            (presence, frozenset(bench.registry.held(presence, (0, 500))))
        )
        await bench.registry.get(FULL, 0)
        await bench.registry.get(ONE, 500)
        assert seen == [(FULL, {0}), (FULL, frozenset()), (ONE, {500})]

    run(scenario, limit=1)


def test_metrics_show_the_variants_in_memory_and_no_others() -> None:
    async def scenario(bench: Bench) -> None:
        built = await bench.registry.get(ONE, 500)
        shown = bench.metric("sentryfuse_variant_flops", ONE, "0.5")
        assert shown == built.variant.card.flops
        await bench.registry.get(FULL, 0)
        assert bench.metric("sentryfuse_variant_flops", ONE, "0.5") is None
        assert bench.metric("sentryfuse_variant_flops", FULL, "0") is not None

    run(scenario, limit=1)


def test_a_registry_that_is_not_shown_yet_shows_all_it_has_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        bench.registry.hide()
        await bench.registry.get(FULL, 0)
        await bench.registry.get(ONE, 0)
        assert bench.metric("sentryfuse_variant_flops", FULL, "0") is None
        bench.registry.show()
        assert bench.metric("sentryfuse_variant_flops", FULL, "0") is not None
        assert bench.metric("sentryfuse_variant_flops", ONE, "0") is not None

    run(scenario)


def test_a_registry_that_dropped_everything_still_builds_for_who_is_late() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.registry.get(FULL, 0)
        bench.registry.drop()
        late = await bench.registry.get(FULL, 500)
        assert late.variant.card.permille == 500
        assert bench.registry.held(FULL, (0, 500)).keys() == {500}
        assert bench.metric("sentryfuse_variant_flops", FULL, "0") is None
        assert bench.metric("sentryfuse_variant_flops", FULL, "0.5") is None

    run(scenario)


def test_a_build_that_fails_is_tried_again() -> None:
    async def scenario(bench: Bench) -> None:
        bench.builder.broken = True
        with pytest.raises(RuntimeError, match="no memory"):
            await bench.registry.get(FULL, 0)
        bench.builder.broken = False
        assert (await bench.registry.get(FULL, 0)).variant.card.permille == 0

    run(scenario)


def test_building_leaves_the_event_loop_free() -> None:
    async def scenario(bench: Bench) -> None:
        build = asyncio.create_task(bench.registry.get(FULL, 0))
        turns = 0
        while not build.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 3

    run(scenario)


def test_builds_that_are_under_way_are_given_up_at_the_end() -> None:
    async def scenario(bench: Bench) -> None:
        waiting = asyncio.create_task(bench.registry.get(FULL, 500))
        await asyncio.sleep(0)  # the build is under way, its mask not there yet

        await bench.registry.stop_building()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert bench.builder.built == 0

    run(scenario)


def test_a_build_whose_turn_has_not_come_is_struck_out_when_nobody_waits_for_it() -> None:
    async def scenario(bench: Bench) -> None:
        held = threading.Event()
        bench.threads.submit(held.wait, 10)
        waiting = [asyncio.create_task(bench.registry.get(ONE, 500)) for _ in range(2)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        again = asyncio.create_task(bench.registry.get(ONE, 900))
        held.set()
        await again
        assert bench.builder.built == 1

    run(scenario)


def test_a_build_goes_on_while_one_of_those_who_wait_stays() -> None:
    async def scenario(bench: Bench) -> None:
        held = threading.Event()
        bench.threads.submit(held.wait, 10)
        leaving, staying = (asyncio.create_task(bench.registry.get(ONE, 500)) for _ in range(2))
        await asyncio.sleep(0.05)
        leaving.cancel()
        held.set()
        assert (await staying).variant.card.permille == 500
        assert bench.builder.built == 1

    run(scenario)


def test_who_comes_just_after_a_build_was_struck_out_gets_one_of_its_own() -> None:
    async def scenario(bench: Bench) -> None:
        held = threading.Event()
        bench.threads.submit(held.wait, 10)
        leaving = asyncio.create_task(bench.registry.get(ONE, 500))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.sleep(0)
        coming = asyncio.create_task(bench.registry.get(ONE, 500))
        held.set()
        assert (await coming).variant.card.permille == 500

    run(scenario)
