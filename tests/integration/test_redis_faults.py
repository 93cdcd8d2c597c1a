"""Redis down, slow, full, read-only or lying: a metric, never a failed or a late request."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread

import pytest

from app.storage import (
    Breaker,
    Failure,
    MaskKey,
    MemoryMaskCache,
    ProfileKey,
    RedisAccess,
    RedisLink,
    RedisMaskCache,
    SharedProfiles,
    TieredMaskCache,
)
from tests.integration.redis_server import StartRedis, free_port
from tests.masks import make_key, make_mask

TIMEOUT_S = 0.02
# What a request may take beyond the timeout on a busy test machine before a test calls it late.
SLACK_S = 0.5
PROBE_EVERY_S = 0.05
RECOVERY_DEADLINE_S = 20.0
Seen = Counter[tuple[str, str]]


class Rig:
    """A tiered cache over one Redis, with what it reported."""

    def __init__(self, url: str, threshold: int, timeout_s: float) -> None:
        self.seen: Seen = Counter()
        self.failures: Counter[Failure] = Counter()
        self.link = RedisLink(
            RedisAccess(url),
            timeout_s=timeout_s,
            breaker=Breaker(threshold),
            probe_every_s=PROBE_EVERY_S,
            on_failure=lambda failure: self.failures.update([failure]),
        )
        self.shared = RedisMaskCache(self.link, on_outcome=self._count)
        # As patient as a caller of the link, so that each request sees what becomes of its own.
        self.cache = TieredMaskCache(
            MemoryMaskCache(10**6), self.shared, patience_s=timeout_s + SLACK_S / 2
        )

    def _count(self, tier: str, outcome: str) -> None:
        self.seen[tier, outcome] += 1

    async def answers(self, key: MaskKey) -> None:
        """One request: it must get the right mask, soon."""
        started = time.perf_counter()
        mask = await self.cache.get_or_compute(key, lambda: make_mask(key))
        assert mask.digest == make_mask(key).digest
        assert time.perf_counter() - started < TIMEOUT_S + SLACK_S


@asynccontextmanager
async def rig(
    url: str, *, threshold: int = 100, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[Rig]:
    opened = Rig(url, threshold, timeout_s)
    try:
        yield opened
    finally:
        await opened.cache.close()


async def closed(breaker: Breaker) -> None:
    """Return once the breaker has closed; nobody asks for anything meanwhile."""
    async with asyncio.timeout(RECOVERY_DEADLINE_S):
        while breaker.open:
            await asyncio.sleep(0.01)


def keys_of(bundle_digest: str) -> list[MaskKey]:
    return [make_key(bundle_digest, bits=bits) for bits in range(1, 32)]


@contextmanager
def fake_server(reply: bytes) -> Iterator[str]:
    """A server that answers whatever it is sent with the same bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with connection:
                    while connection.recv(65536):
                        connection.sendall(reply)
            except ConnectionError:
                continue
            except OSError:
                return  # the listener was closed

    thread = Thread(target=serve, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def test_with_no_redis_at_all_every_request_is_answered(bundle_digest: str) -> None:
    async def scenario() -> None:
        async with rig(f"redis://127.0.0.1:{free_port()}/0") as r:
            for key in keys_of(bundle_digest)[:5]:
                await r.answers(key)

            assert r.seen["redis", "error"] >= 5
            assert await r.cache.preload(keys_of(bundle_digest)) != {}

    asyncio.run(scenario())


def test_connecting_to_no_redis_opens_the_breaker_at_once() -> None:
    async def scenario() -> None:
        async with rig(f"redis://127.0.0.1:{free_port()}/0") as r:
            assert await r.link.connect() is False
            assert r.link.breaker.open

    asyncio.run(scenario())


def test_a_host_name_that_does_not_resolve_is_answered(bundle_digest: str) -> None:
    async def scenario() -> None:
        async with rig("redis://no-such-host.invalid:6379/0") as r:
            await r.answers(make_key(bundle_digest))

    asyncio.run(scenario())


def test_redis_killed_in_between_is_answered(start_redis: StartRedis, bundle_digest: str) -> None:
    async def scenario() -> None:
        server = start_redis()
        first, second, *_ = keys_of(bundle_digest)
        async with rig(server.url) as r:
            assert await r.link.connect()
            await r.answers(first)
            server.kill()
            await r.answers(second)

            assert r.seen["redis", "error"] >= 1

    asyncio.run(scenario())


def test_a_paused_redis_delays_a_request_by_no_more_than_the_timeout(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    async def scenario() -> None:
        server = start_redis()
        async with rig(server.url) as r:
            assert await r.link.connect()
            server.pause()
            for key in keys_of(bundle_digest)[:5]:
                await r.answers(key)

            assert r.seen["redis", "error"] >= 5

    asyncio.run(scenario())


def test_a_burst_of_requests_on_a_paused_redis_is_answered(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    keys = [make_key(bundle_digest, permille=permille) for permille in range(400)]

    async def scenario() -> None:
        server = start_redis()
        async with rig(server.url) as r:
            assert await r.link.connect()
            server.pause()
            found = await asyncio.gather(*(r.shared.get(key) for key in keys))

            assert found == [None] * len(keys)
            assert r.seen == {("redis", "error"): len(keys)}

    asyncio.run(scenario())


def test_after_a_pause_late_answers_do_not_reach_the_wrong_request(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    keys = keys_of(bundle_digest)

    async def scenario() -> None:
        server = start_redis()
        async with rig(server.url, timeout_s=0.2) as r:
            assert await r.link.connect()
            await asyncio.gather(*(r.shared.put(key, make_mask(key)) for key in keys[8:]))
            server.pause()
            await asyncio.gather(*(r.shared.get(key) for key in keys[:8]))
            server.resume()
            for key in keys[8:]:
                found = await r.shared.get(key)
                assert found is None or found.digest == make_mask(key).digest
            assert r.seen["redis", "hit"] >= 1

    asyncio.run(scenario())


def test_requests_that_give_up_leave_redis_usable(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    async def scenario() -> None:
        server = start_redis()
        keys = keys_of(bundle_digest)
        async with rig(server.url, timeout_s=5.0) as r:
            for key in keys:
                await r.shared.put(key, make_mask(key))
            for _ in range(20):
                asked = [asyncio.create_task(r.shared.get(key)) for key in keys]
                await asyncio.sleep(0.001)
                for request in asked:
                    request.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
            deadline = time.monotonic() + 20
            found = await r.shared.preload(keys)
            while not found and time.monotonic() < deadline:  # what they started is running out
                await asyncio.sleep(0.05)
                found = await r.shared.preload(keys)

        assert {k: m.digest for k, m in found.items()} == {k: make_mask(k).digest for k in keys}

    asyncio.run(scenario())


def test_a_wrong_password_is_answered_and_opens_the_breaker(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    async def scenario() -> None:
        server = start_redis(password="right")
        url = server.url.replace("right", "wrong")
        async with rig(url, threshold=3, timeout_s=5.0) as r:
            for key in keys_of(bundle_digest)[:5]:
                await r.answers(key)

            assert r.link.breaker.open
            assert r.seen["redis", "error"] == 3

    asyncio.run(scenario())


def test_a_missing_password_is_answered(start_redis: StartRedis, bundle_digest: str) -> None:
    async def scenario() -> None:
        server = start_redis(password="right")
        async with rig(server.url.replace(":right@", ""), timeout_s=5.0) as r:
            await r.answers(make_key(bundle_digest))

            assert r.seen["redis", "error"] >= 1

    asyncio.run(scenario())


def test_the_right_password_works(start_redis: StartRedis, bundle_digest: str) -> None:
    async def scenario() -> None:
        server = start_redis(password="right")
        async with rig(server.url, timeout_s=5.0) as r:
            assert await r.link.connect()

    asyncio.run(scenario())


async def put_often(r: Rig, key: MaskKey) -> int:
    """Put a mask five times; how many of them failed."""
    for _ in range(5):
        await r.shared.put(key, make_mask(key))
    return r.seen["redis", "error"]


def test_a_full_redis_still_answers_reads(start_redis: StartRedis, bundle_digest: str) -> None:
    held, new, *_ = keys_of(bundle_digest)

    async def scenario() -> None:
        server = start_redis("--maxmemory-policy", "noeviction")
        async with rig(server.url, threshold=3, timeout_s=5.0) as r:
            await r.shared.put(held, make_mask(held))
            with server.client() as client:
                client.set("ballast", b"x" * 2_000_000)
                client.config_set("maxmemory", "1mb")
            assert await put_often(r, new) == 5
            assert not r.link.breaker.open
            assert await r.shared.get(held) is not None
            await r.answers(new)

    asyncio.run(scenario())


def test_a_read_only_replica_still_answers_reads(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    held, new, *_ = keys_of(bundle_digest)

    async def scenario() -> None:
        server = start_redis("--replica-serve-stale-data", "yes")
        async with rig(server.url, threshold=3, timeout_s=5.0) as r:
            await r.shared.put(held, make_mask(held))
            with server.client() as client:
                client.replicaof("127.0.0.1", free_port())
            assert await put_often(r, new) == 5
            assert not r.link.breaker.open
            assert await r.shared.get(held) is not None
            await r.answers(new)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n",
        b":1\r\n",
        b"*0\r\n",
        b"*1\r\n:7\r\n",
        b"*1\r\n$abc\r\n",
        b"$-1\r\n",
        b"-ERR no\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff" * 50,
    ],
    ids=["text", "number", "none", "wrong-type", "bad-length", "nil", "error", "http", "noise"],
)
def test_a_server_that_is_no_redis_is_answered(bundle_digest: str, reply: bytes) -> None:
    async def scenario() -> None:
        with fake_server(reply) as url:
            async with rig(url) as r:
                for key in keys_of(bundle_digest)[:3]:
                    await r.answers(key)

                assert r.seen["redis", "hit"] == 0

    asyncio.run(scenario())


def test_the_breaker_stops_asking_a_redis_that_does_not_answer(bundle_digest: str) -> None:
    async def scenario() -> None:
        async with rig(f"redis://127.0.0.1:{free_port()}/0", threshold=3, timeout_s=5.0) as r:
            for key in keys_of(bundle_digest)[:8]:
                await r.shared.get(key)

            assert r.seen == {("redis", "error"): 3, ("redis", "open"): 5}

    asyncio.run(scenario())


def test_redis_is_used_again_once_it_answers_and_no_request_had_to_try(
    start_redis: StartRedis, bundle_digest: str
) -> None:
    key = make_key(bundle_digest)

    async def scenario() -> None:
        server = start_redis()
        async with rig(server.url, threshold=1, timeout_s=0.3) as r:
            await r.shared.put(key, make_mask(key))
            server.pause()
            await r.shared.get(key)
            assert r.link.breaker.open
            server.resume()
            await closed(r.link.breaker)

            r.seen.clear()
            assert await r.shared.get(key) is not None
            assert r.seen == {("redis", "hit"): 1}

    asyncio.run(scenario())


def test_profiles_of_a_redis_that_is_gone_are_absent() -> None:
    async def scenario() -> None:
        async with rig(f"redis://127.0.0.1:{free_port()}/0") as r:
            profiles = SharedProfiles(r.link)
            await profiles.put(ProfileKey("d", "host"), "{}")
            assert await profiles.get(ProfileKey("d", "host")) is None

    asyncio.run(scenario())


@pytest.mark.parametrize("operation", ["get", "put", "preload"])
def test_no_operation_on_a_paused_redis_blocks_beyond_the_timeout(
    start_redis: StartRedis, bundle_digest: str, operation: str
) -> None:
    key = make_key(bundle_digest)
    calls: dict[str, Callable[[RedisMaskCache], Awaitable[object]]] = {
        "get": lambda cache: cache.get(key),
        "put": lambda cache: cache.put(key, make_mask(key)),
        "preload": lambda cache: cache.preload(keys_of(bundle_digest)),
    }

    async def scenario() -> None:
        server = start_redis()
        async with rig(server.url) as r:
            assert await r.link.connect()
            server.pause()
            started = time.perf_counter()
            await calls[operation](r.shared)
            assert time.perf_counter() - started < TIMEOUT_S + SLACK_S

    asyncio.run(scenario())
