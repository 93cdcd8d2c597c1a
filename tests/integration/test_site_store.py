"""The ledger of a site in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from app.storage import RedisAccess, RedisLink, SiteStore, Stored, Unavailable
from app.storage.keys import site_key
from tests.integration.redis_server import RedisServer, StartRedis

RIGHTS = "~sentryfuse:1:* resetchannels -@all +mget +eval +get +set +info"


def with_store(url: str, use: Callable[[SiteStore], Awaitable[None]], site: str = "") -> None:
    async def run() -> None:
        link = RedisLink(RedisAccess(url), timeout_s=5.0)
        try:
            await use(SiteStore(link, site or uuid4().hex))
        finally:
            await link.close()

    asyncio.run(run())


def test_only_what_was_read_is_replaced(redis_server: RedisServer) -> None:
    async def use(store: SiteStore) -> None:
        nothing = await store.read()
        assert nothing.value == b""
        assert await store.swap(nothing, b"first")
        assert not await store.swap(nothing, b"second")
        first = await store.read()
        assert first.value == b"first"
        assert await store.swap(first, b"second")
        assert not await store.swap(first, b"third")
        assert (await store.read()).value == b"second"

    with_store(redis_server.url, use)


def test_of_many_who_write_at_once_one_succeeds(redis_server: RedisServer) -> None:
    async def use(store: SiteStore) -> None:
        read = await store.read()
        written = await asyncio.gather(*(store.swap(read, b"%d" % i) for i in range(8)))
        assert sum(written) == 1

    with_store(redis_server.url, use)


def test_a_server_that_was_restarted_is_another_one(start_redis: StartRedis) -> None:
    server = start_redis()
    site = uuid4().hex
    before: list[Stored] = []

    async def write(store: SiteStore) -> None:
        await store.swap(await store.read(), b"kept")
        before.append(await store.read())

    async def look_again(store: SiteStore) -> None:
        after = await store.read()
        assert after.server != before[0].server
        assert not await store.swap(before[0], b"new")
        assert not await store.swap(Stored(before[0].server, b""), b"new")

    with_store(server.url, write, site)
    server.kill()
    server.start()
    with_store(server.url, look_again, site)


def test_a_read_only_copy_is_not_written(start_redis: StartRedis) -> None:
    server = start_redis()
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)

    async def use(store: SiteStore) -> None:
        read = await store.read()
        with pytest.raises(Unavailable):
            await store.swap(read, b"value")

    with_store(server.url, use)


def test_the_documented_rights_are_enough_and_each_is_needed(start_redis: StartRedis) -> None:
    server = start_redis()

    async def use(store: SiteStore) -> None:
        assert await store.swap(await store.read(), b"value")

    async def fail(store: SiteStore) -> None:
        with pytest.raises(Unavailable):
            await store.swap(await store.read(), b"value")

    url = server.url.replace("redis://", "redis://node:pw@")
    for without in ("", "+eval", "+get", "+set", "+info"):
        rights = " ".join(right for right in RIGHTS.split() if right != without)
        with server.client() as client:
            client.execute_command(*f"ACL SETUSER node reset on >pw {rights}".split())
        with_store(url, fail if without else use)


def test_ledgers_live_under_the_prefix_of_all_keys() -> None:
    assert site_key("roof") == "sentryfuse:1:site:roof"
