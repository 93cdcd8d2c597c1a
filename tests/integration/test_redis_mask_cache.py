"""What a healthy Redis holds, and what other writers may have left in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.storage import (
    MaskKey,
    MemoryMaskCache,
    ProfileKey,
    RedisAccess,
    RedisLink,
    RedisMaskCache,
    SharedProfiles,
    TieredMaskCache,
)
from sentryfuse.pruning import MASK_VERSION, Mask
from tests.integration.redis_server import RedisServer
from tests.masks import make_key, make_mask

PATIENT_S = 5.0
Seen = Counter[tuple[str, str]]


@asynccontextmanager
async def redis_cache(server: RedisServer, seen: Seen) -> AsyncIterator[RedisMaskCache]:
    def count(tier: str, outcome: str) -> None:
        seen[tier, outcome] += 1

    link = RedisLink(RedisAccess(server.url), timeout_s=PATIENT_S)
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
            there = TieredMaskCache(MemoryMaskCache(10**6), theirs, patience_s=PATIENT_S)
            await here.put(key, make_mask(key))
            await there.get_or_compute(key, lambda: pytest.fail("computed again"))

        assert seen == {("redis", "hit"): 1}

    asyncio.run(scenario())


def stored(key: MaskKey) -> bytes:
    """The value of a key's own mask."""
    return make_mask(key).to_bytes(key.redis_key)


def of_version(number: int, key: MaskKey) -> bytes:
    """The same, as another version of the software would mark it."""
    value = stored(key)
    return value[:4] + bytes([number]) + value[5:]


def damaged_values(key: MaskKey) -> dict[str, bytes]:
    good = stored(key)
    flipped = bytearray(good)
    flipped[-1] ^= 0x40
    other_size = make_key(key.bundle_digest, num_units=999)
    other_ratio = make_key(key.bundle_digest, permille=500)
    other_presence = make_key(key.bundle_digest, bits=0b11101)
    return {
        "empty": b"",
        "cut short": good[:-5],
        "too long": good + b"\0",
        "one bit flipped": bytes(flipped),
        "another magic": b"XXXX" + good[4:],
        "another model": stored(other_size),
        "another model of this size": stored(make_key("another")),
        "another ratio": stored(other_ratio),
        "another presence": stored(other_presence),
        "text": b"hello",
    }


@pytest.mark.parametrize("damage", damaged_values(make_key("any")))
def test_a_damaged_value_is_absent_counted_and_replaced(
    redis_server: RedisServer, bundle_digest: str, damage: str
) -> None:
    key = make_key(bundle_digest)
    with redis_server.client() as client:
        client.set(key.redis_key, damaged_values(key)[damage])

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


def test_two_masks_of_one_bundle_that_were_swapped_are_found_out(
    redis_server: RedisServer, bundle_digest: str
) -> None:
    here, there = make_key(bundle_digest, permille=500), make_key(bundle_digest, permille=800)
    with redis_server.client() as client:
        client.mset({here.redis_key: stored(there), there.redis_key: stored(here)})

    async def scenario() -> None:
        seen: Seen = Counter()
        async with redis_cache(redis_server, seen) as cache:
            assert await cache.preload([here, there]) == {}

        assert seen == {("redis", "corrupt"): 2}

    asyncio.run(scenario())


def test_a_value_of_an_older_version_is_absent_and_replaced(
    redis_server: RedisServer, bundle_digest: str
) -> None:
    key = make_key(bundle_digest)
    with redis_server.client() as client:
        client.set(key.redis_key, of_version(MASK_VERSION - 1, key))

    async def scenario() -> None:
        seen: Seen = Counter()
        async with redis_cache(redis_server, seen) as cache:
            assert await cache.get(key) is None
            await cache.put(key, make_mask(key))
            assert await cache.get(key) is not None

        assert seen == {("redis", "foreign"): 1, ("redis", "hit"): 1}

    asyncio.run(scenario())


def test_a_value_of_a_newer_version_is_absent_and_left_alone(
    redis_server: RedisServer, bundle_digest: str
) -> None:
    key = make_key(bundle_digest)
    newer = of_version(MASK_VERSION + 1, key)
    with redis_server.client() as client:
        client.set(key.redis_key, newer)

    async def scenario() -> None:
        seen: Seen = Counter()
        async with redis_cache(redis_server, seen) as cache:
            assert await cache.get(key) is None
            await cache.put(key, make_mask(key))

        assert seen == {("redis", "foreign"): 1}

    asyncio.run(scenario())
    with redis_server.client() as client:
        assert client.get(key.redis_key) == newer


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
        link = RedisLink(RedisAccess(redis_server.url), timeout_s=PATIENT_S)
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
        link = RedisLink(RedisAccess(redis_server.url), timeout_s=PATIENT_S)
        assert await SharedProfiles(link).get(key) is None
        await link.close()

    asyncio.run(scenario())


def test_without_redis_no_profile_is_shared() -> None:
    async def scenario() -> None:
        profiles = SharedProfiles(None)
        await profiles.put(ProfileKey("d", "host"), "{}")
        assert await profiles.get(ProfileKey("d", "host")) is None

    asyncio.run(scenario())
