"""One contract, held by every mask cache: in memory, in Redis, and tiered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np
import pytest

from app.storage import (
    MaskCache,
    MemoryMaskCache,
    RedisAccess,
    RedisLink,
    RedisMaskCache,
    TieredMaskCache,
)
from tests.integration.redis_server import RedisServer
from tests.masks import make_key, make_mask

OpenCache = Callable[[], AbstractAsyncContextManager[MaskCache]]

# The contract is about answers, not about speed: a busy machine must not fail it.
PATIENT_S = 5.0


def memory_cache() -> MemoryMaskCache:
    return MemoryMaskCache(1_000_000)


@pytest.fixture(params=["memory", "redis", "tiered with redis", "tiered without redis"])
def open_cache(request: pytest.FixtureRequest) -> OpenCache:
    kind: str = request.param
    server: RedisServer | None = None
    if kind in ("redis", "tiered with redis"):
        server = request.getfixturevalue("redis_server")

    @asynccontextmanager
    async def opened() -> AsyncIterator[MaskCache]:
        shared = (
            RedisMaskCache(RedisLink(RedisAccess(server.url), timeout_s=PATIENT_S))
            if server
            else None
        )
        cache: MaskCache
        if kind == "memory":
            cache = memory_cache()
        elif kind == "redis":
            assert shared is not None
            cache = shared
        else:
            cache = TieredMaskCache(memory_cache(), shared)
        try:
            yield cache
        finally:
            await cache.close()

    return opened


def test_a_mask_never_put_is_absent(open_cache: OpenCache, bundle_digest: str) -> None:
    async def scenario() -> None:
        async with open_cache() as cache:
            assert await cache.get(make_key(bundle_digest)) is None

    asyncio.run(scenario())


def test_a_mask_comes_back_bit_for_bit(open_cache: OpenCache, bundle_digest: str) -> None:
    async def scenario() -> None:
        key = make_key(bundle_digest)
        mask = make_mask(key)
        async with open_cache() as cache:
            await cache.put(key, mask)
            found = await cache.get(key)

        assert found is not None
        np.testing.assert_array_equal(found.keep, mask.keep)
        assert found.digest == mask.digest
        assert (found.presence, found.permille) == (key.presence, key.permille)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "other",
    [{"bits": 0b00001}, {"permille": 500}, {"bundle_digest": "another"}],
    ids=["presence", "ratio", "bundle"],
)
def test_keys_that_differ_in_one_part_do_not_meet(
    open_cache: OpenCache, bundle_digest: str, other: dict[str, object]
) -> None:
    async def scenario() -> None:
        key = make_key(bundle_digest)
        async with open_cache() as cache:
            await cache.put(key, make_mask(key))

            assert await cache.get(make_key(**{"bundle_digest": bundle_digest, **other})) is None  # type: ignore[arg-type]

    asyncio.run(scenario())


def test_putting_a_mask_twice_changes_nothing(open_cache: OpenCache, bundle_digest: str) -> None:
    async def scenario() -> None:
        key = make_key(bundle_digest)
        async with open_cache() as cache:
            await cache.put(key, make_mask(key))
            await cache.put(key, make_mask(key))
            found = await cache.get(key)

        assert found is not None
        assert found.digest == make_mask(key).digest

    asyncio.run(scenario())


def test_preloading_returns_what_is_there_and_nothing_else(
    open_cache: OpenCache, bundle_digest: str
) -> None:
    async def scenario() -> None:
        # More keys than go into one command.
        keys = [
            make_key(bundle_digest, bits=b, permille=p) for b in range(1, 32) for p in (0, 500, 900)
        ]
        there = keys[::2]
        async with open_cache() as cache:
            for key in there:
                await cache.put(key, make_mask(key))
            found = await cache.preload(keys)

        assert {k: m.digest for k, m in found.items()} == {k: make_mask(k).digest for k in there}

    asyncio.run(scenario())


def test_preloading_nothing_is_nothing(open_cache: OpenCache) -> None:
    async def scenario() -> None:
        async with open_cache() as cache:
            assert await cache.preload([]) == {}

    asyncio.run(scenario())


def test_many_requests_at_once_all_get_their_own_mask(
    open_cache: OpenCache, bundle_digest: str
) -> None:
    async def scenario() -> None:
        keys = [make_key(bundle_digest, bits=bits) for bits in range(1, 32)]
        async with open_cache() as cache:
            await asyncio.gather(*(cache.put(key, make_mask(key)) for key in keys))
            found = await asyncio.gather(*(cache.get(key) for key in keys))

        assert [m.digest if m else None for m in found] == [make_mask(k).digest for k in keys]

    asyncio.run(scenario())


def test_closing_an_unused_cache_is_harmless(open_cache: OpenCache) -> None:
    async def scenario() -> None:
        async with open_cache():
            pass

    asyncio.run(scenario())
