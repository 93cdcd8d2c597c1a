"""What a healthy Redis holds, and what other writers may have left in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.storage import (
    MemoryMaskCache,
    ProfileKey,
    RedisLink,
    RedisMaskCache,
    SharedProfiles,
    TieredMaskCache,
)
from sentryfuse.pruning import Mask
from tests.integration.redis_server import RedisServer
from tests.masks import make_key, make_mask

PATIENT_S = 5.0
Seen = Counter[tuple[str, str]]


@asynccontextmanager
async def redis_cache(server: RedisServer, seen: Seen) -> AsyncIterator[RedisMaskCache]:
    def count(tier: str, outcome: str) -> None:
        seen[tier, outcome] += 1

    link = RedisLink(server.url, timeout_s=PATIENT_S)
    cache = RedisMaskCache(link, ttl_s=1000.0, on_outcome=count)
    try:
        yield cache
    finally:
        await cache.close()


def test_every_entry_dies_by_its_time_to_live_spread_by_a_tenth(
    redis_server: RedisServer, bundle_digest: str
) -> None:
    keys = [make_key(bundle_digest, bits=bits) for bits in range(1, 32)]

    async def scenario() -> None:
        async with redis_cache(redis_server, Counter()) as cache:
            for key in keys:
                await cache.put(key, make_mask(key))

    asyncio.run(scenario())
    with redis_server.client() as client:
        ttls = [client.ttl(key.redis_key) for key in keys]
    assert all(880 <= ttl <= 1100 for ttl in ttls)
    assert len(set(ttls)) > 10


def test_the_first_writer_wins(redis_server: RedisServer, bundle_digest: str) -> None:
    key = make_key(bundle_digest)
    first, second = make_mask(key, seed=1), make_mask(key, seed=2)

    async def scenario() -> Mask | None:
        async with redis_cache(redis_server, Counter()) as cache:
            await cache.put(key, first)
            await cache.put(key, second)
            return await cache.get(key)

    found = asyncio.run(scenario())
    assert found is not None
    assert found.digest == first.digest


def test_replicas_share_masks(redis_server: RedisServer, bundle_digest: str) -> None:
    key = make_key(bundle_digest)

    async def scenario() -> None:
        seen: Seen = Counter()
        async with (
            redis_cache(redis_server, Counter()) as mine,
            redis_cache(redis_server, seen) as theirs,
        ):
            here = TieredMaskCache(MemoryMaskCache(10**6), mine)
            there = TieredMaskCache(MemoryMaskCache(10**6), theirs)
            await here.put(key, make_mask(key))
            await there.get_or_compute(key, lambda: pytest.fail("computed again"))

        assert seen == {("redis", "hit"): 1}

    asyncio.run(scenario())


def damaged_values() -> dict[str, bytes]:
    key = make_key("any")
    good = make_mask(key).to_bytes()
    flipped = bytearray(good)
    flipped[-1] ^= 0x40
    other_size = make_key("any", num_units=999)
    return {
        "empty": b"",
        "cut short": good[:-5],
        "too long": good + b"\0",
        "one bit flipped": bytes(flipped),
        "another magic": b"XXXX" + good[4:],
        "another schema": good[:4] + b"\x02" + good[5:],
        "another model": make_mask(other_size).to_bytes(),
        "text": b"hello",
    }


@pytest.mark.parametrize("value", damaged_values().values(), ids=damaged_values().keys())
def test_a_damaged_value_is_absent_counted_and_replaced(
    redis_server: RedisServer, bundle_digest: str, value: bytes
) -> None:
    key = make_key(bundle_digest)
    with redis_server.client() as client:
        client.set(key.redis_key, value)

    async def scenario() -> None:
        seen: Seen = Counter()
        async with redis_cache(redis_server, seen) as cache:
            assert await cache.get(key) is None
            await cache.put(key, make_mask(key))
            found = await cache.get(key)

        assert seen == {("redis", "corrupt"): 1, ("redis", "hit"): 1}
        assert found is not None
        assert found.digest == make_mask(key).digest

    asyncio.run(scenario())


def test_a_value_of_another_type_is_absent(redis_server: RedisServer, bundle_digest: str) -> None:
    key = make_key(bundle_digest)
    with redis_server.client() as client:
        client.rpush(key.redis_key, "a", "list")

    async def scenario() -> None:
        async with redis_cache(redis_server, Counter()) as cache:
            assert await cache.get(key) is None
            await cache.put(key, make_mask(key))

    asyncio.run(scenario())


def test_keys_of_another_schema_are_left_alone(
    redis_server: RedisServer, bundle_digest: str
) -> None:
    key = make_key(bundle_digest)
    foreign = key.redis_key.replace("sentryfuse:1:", "sentryfuse:2:")
    with redis_server.client() as client:
        client.set(foreign, b"from the future")

    async def scenario() -> None:
        async with redis_cache(redis_server, Counter()) as cache:
            assert await cache.get(key) is None
            await cache.put(key, make_mask(key))

    asyncio.run(scenario())
    with redis_server.client() as client:
        assert client.get(foreign) == b"from the future"


def test_a_profile_comes_back_as_it_was_shared_and_newer_ones_replace_it(
    redis_server: RedisServer, bundle_digest: str
) -> None:
    key = ProfileKey(bundle_digest, "x86_64 / 2 cores")

    async def scenario() -> None:
        link = RedisLink(redis_server.url, timeout_s=PATIENT_S)
        profiles = SharedProfiles(link)
        assert await profiles.get(key) is None
        await profiles.put(key, '{"latency": "1 µs"}')
        assert await profiles.get(key) == '{"latency": "1 µs"}'
        await profiles.put(key, '{"latency": "2 µs"}')
        assert await profiles.get(key) == '{"latency": "2 µs"}'
        await link.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("value", [b"", b"SFPF\x01", b"{}", b"SFPF\x01" + b"\0" * 16 + b"{}"])
def test_a_damaged_profile_is_absent(
    redis_server: RedisServer, bundle_digest: str, value: bytes
) -> None:
    key = ProfileKey(bundle_digest, "host")
    with redis_server.client() as client:
        client.set(key.redis_key, value)

    async def scenario() -> None:
        link = RedisLink(redis_server.url, timeout_s=PATIENT_S)
        assert await SharedProfiles(link).get(key) is None
        await link.close()

    asyncio.run(scenario())


def test_without_redis_no_profile_is_shared() -> None:
    async def scenario() -> None:
        profiles = SharedProfiles(None)
        await profiles.put(ProfileKey("d", "host"), "{}")
        assert await profiles.get(ProfileKey("d", "host")) is None

    asyncio.run(scenario())
