from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from app.storage import MaskKey, MemoryMaskCache, TieredMaskCache
from sentryfuse.errors import MaskMismatchError
from sentryfuse.pruning import Mask
from tests.masks import make_key, make_mask

KEY = make_key("d")
MASK = make_mask(KEY)


class SlowGate:
    """Computes a mask when told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.calls = 0

    def __call__(self) -> Mask:
        self.calls += 1
        assert self.release.wait(10)
        return MASK


def tiers(seen: Counter[tuple[str, str]] | None = None) -> tuple[TieredMaskCache, MemoryMaskCache]:
    """Two tiers with no Redis: the memory of another process stands in for it."""
    shared = MemoryMaskCache(1_000_000)
    counted = Counter() if seen is None else seen

    def count(tier: str, outcome: str) -> None:
        counted[tier, outcome] += 1

    memory = MemoryMaskCache(1_000_000, on_outcome=count)
    return TieredMaskCache(memory, shared, on_outcome=count), shared


class SilentCache(MemoryMaskCache):
    """A shared cache that takes for ever to look something up, but is told of what was put."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.answering = asyncio.Event()

    async def get(self, key: MaskKey) -> Mask | None:
        await self.answering.wait()
        return await super().get(key)


def failing() -> Mask:
    raise MaskMismatchError("no such unit")


def test_a_mask_asked_for_by_many_at_once_is_computed_once() -> None:
    async def scenario() -> None:
        cache, _ = tiers()
        gate = SlowGate()
        waiting = [asyncio.create_task(cache.get_or_compute(KEY, gate)) for _ in range(50)]
        await asyncio.sleep(0.01)
        gate.release.set()

        assert {mask.digest for mask in await asyncio.gather(*waiting)} == {MASK.digest}
        assert gate.calls == 1

    asyncio.run(scenario())


def test_a_request_that_gives_up_does_not_take_the_others_with_it() -> None:
    async def scenario() -> None:
        cache, _ = tiers()
        gate = SlowGate()
        first = asyncio.create_task(cache.get_or_compute(KEY, gate))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(cache.get_or_compute(KEY, gate))
        await asyncio.sleep(0)
        first.cancel()
        gate.release.set()

        assert (await second).digest == MASK.digest
        assert gate.calls == 1

    asyncio.run(scenario())


def test_other_keys_do_not_wait_for_a_slow_one() -> None:
    async def scenario() -> None:
        cache, _ = tiers()
        gate = SlowGate()
        slow = asyncio.create_task(cache.get_or_compute(KEY, gate))
        other = make_key("d", permille=500)

        quick = await asyncio.wait_for(
            cache.get_or_compute(other, lambda: make_mask(other)), timeout=5
        )

        assert quick.permille == 500
        gate.release.set()
        await slow

    asyncio.run(scenario())


def test_a_failed_computation_reaches_every_waiter_and_is_not_remembered() -> None:
    async def scenario() -> None:
        cache, _ = tiers()
        waiting = [cache.get_or_compute(KEY, failing) for _ in range(3)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)

        assert all(isinstance(answer, MaskMismatchError) for answer in answers)
        assert (await cache.get_or_compute(KEY, lambda: MASK)).digest == MASK.digest

    asyncio.run(scenario())


def test_a_computation_that_fails_after_everyone_left_is_no_stray_error() -> None:
    async def scenario() -> None:
        cache, _ = tiers()
        started, release = threading.Event(), threading.Event()

        def fail_late() -> Mask:
            started.set()
            assert release.wait(10)
            raise MaskMismatchError("no such unit")

        request = asyncio.create_task(cache.get_or_compute(KEY, fail_late))
        await asyncio.to_thread(started.wait, 10)
        request.cancel()
        release.set()
        await cache.close()

    asyncio.run(scenario(), debug=True)


def test_a_mask_found_in_the_shared_tier_is_kept_in_memory() -> None:
    async def scenario() -> None:
        cache, shared = tiers()
        await shared.put(KEY, MASK)
        await cache.get(KEY)
        await shared.close()

        assert await cache.get(KEY) is not None

    asyncio.run(scenario())


def test_a_computed_mask_reaches_the_shared_tier() -> None:
    async def scenario() -> None:
        cache, shared = tiers()
        await cache.get_or_compute(KEY, lambda: MASK)
        await asyncio.sleep(0)

        assert await shared.get(KEY) is not None

    asyncio.run(scenario())


def test_a_mask_in_the_shared_tier_is_not_computed() -> None:
    async def scenario() -> None:
        cache, shared = tiers()
        await shared.put(KEY, MASK)

        assert (await cache.get_or_compute(KEY, failing)).digest == MASK.digest

    asyncio.run(scenario())


def test_a_look_up_that_takes_too_long_is_not_waited_for() -> None:
    async def scenario() -> None:
        silent = SilentCache()
        cache = TieredMaskCache(MemoryMaskCache(1_000_000), silent, patience_s=0.001)

        found = await asyncio.wait_for(cache.get_or_compute(KEY, lambda: MASK), timeout=10)

        assert found is MASK
        silent.answering.set()
        await cache.close()

    asyncio.run(scenario(), debug=True)


def test_preloaded_masks_are_served_from_memory() -> None:
    async def scenario() -> None:
        seen: Counter[tuple[str, str]] = Counter()
        cache, shared = tiers(seen)
        await shared.put(KEY, MASK)
        await cache.preload([KEY])
        seen.clear()

        await cache.get_or_compute(KEY, failing)

        assert seen == {("memory", "hit"): 1}

    asyncio.run(scenario())


@pytest.mark.parametrize(("compute", "outcome"), [(lambda: MASK, "hit"), (failing, "error")])
def test_computations_are_reported(compute: object, outcome: str) -> None:
    async def scenario() -> None:
        seen: Counter[tuple[str, str]] = Counter()
        cache, _ = tiers(seen)
        await asyncio.gather(
            cache.get_or_compute(KEY, compute),  # type: ignore[arg-type]
            return_exceptions=True,
        )

        assert seen == {("memory", "miss"): 1, ("gate", outcome): 1}

    asyncio.run(scenario())
