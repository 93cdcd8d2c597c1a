from __future__ import annotations

import asyncio

import pytest

from app.storage import MemoryMaskCache
from sentryfuse.errors import ConfigError
from tests.masks import make_key, make_mask

KEYS = [make_key("d", permille=p) for p in (0, 250, 500, 800)]
ENTRY_BYTES = 2000  # more than one entry of a thousand units, less than two


def filled(max_bytes: int) -> MemoryMaskCache:
    cache = MemoryMaskCache(max_bytes)
    for key in KEYS:
        asyncio.run(cache.put(key, make_mask(key)))
    return cache


def held(cache: MemoryMaskCache) -> list[int]:
    return sorted(key.permille for key in asyncio.run(cache.preload(KEYS)))


def test_it_never_holds_more_bytes_than_allowed() -> None:
    cache = filled(2 * ENTRY_BYTES)

    assert 0 < cache.size_bytes <= 2 * ENTRY_BYTES
    assert len(cache) == 2


def test_the_mask_unused_for_longest_goes_first() -> None:
    async def scenario() -> None:
        cache = MemoryMaskCache(2 * ENTRY_BYTES)
        await cache.put(KEYS[0], make_mask(KEYS[0]))
        await cache.put(KEYS[1], make_mask(KEYS[1]))
        await cache.get(KEYS[0])
        await cache.put(KEYS[2], make_mask(KEYS[2]))

        assert await cache.get(KEYS[0]) is not None
        assert await cache.get(KEYS[1]) is None

    asyncio.run(scenario())


def test_a_mask_too_big_for_the_whole_cache_is_not_kept() -> None:
    assert held(filled(100)) == []


def test_putting_the_same_mask_twice_counts_its_bytes_once() -> None:
    cache = filled(1_000_000)
    size_bytes = cache.size_bytes

    asyncio.run(cache.put(KEYS[0], make_mask(KEYS[0])))

    assert cache.size_bytes == size_bytes


def test_a_closed_cache_holds_nothing() -> None:
    cache = filled(1_000_000)
    asyncio.run(cache.close())

    assert (len(cache), cache.size_bytes) == (0, 0)


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_bytes"):
        MemoryMaskCache(0)
