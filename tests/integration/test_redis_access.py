"""Who is let in, and whom we trust: TLS, users and passwords, with a real redis-server."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.storage import Failure, RedisAccess, RedisLink, RedisMaskCache
from tests.integration.certificates import Authority, Certificate, make_authority
from tests.integration.http_server import StartHttp
from tests.integration.redis_server import RedisServer, StartRedis, free_port
from tests.masks import make_key, make_mask
from tests.scrapes import scraped

_PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
(ACL,) = (line for line in _PAGE.read_text().splitlines() if line.startswith("user sentryfuse "))
"""The line of an ACL file that the documentation gives."""


@dataclass
class Opened:
    link: RedisLink
    failures: Counter[Failure]

    async def works(self, bundle_digest: str) -> bool:
        """Whether a mask that is put is found."""
        cache, key = RedisMaskCache(self.link), make_key(bundle_digest)
        await cache.put(key, make_mask(key))
        return await cache.get(key) is not None


@asynccontextmanager
async def opened(access: RedisAccess) -> AsyncIterator[Opened]:
    failures: Counter[Failure] = Counter()
    link = RedisLink(
        access, timeout_s=5.0, probe_every_s=0.05, on_failure=lambda f: failures.update([f])
    )
    try:
        yield Opened(link, failures)
    finally:
        await link.close()


def lets_in(access: RedisAccess, bundle_digest: str) -> bool:
    async def scenario() -> bool:
        async with opened(access) as found:
            return await found.link.connect() and await found.works(bundle_digest)

    return asyncio.run(scenario())


def refusal(access: RedisAccess) -> set[Failure]:
    """Why there is no connection."""

    async def scenario() -> set[Failure]:
        async with opened(access) as found:
            assert not await found.link.connect()
            assert found.link.breaker.open
            return set(found.failures)

    return asyncio.run(scenario())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "ours")


def start_tls(
    start_redis: StartRedis, authority: Authority, own: Certificate, *, ask: str = "no"
) -> str:
    """Run a server that speaks TLS; return its URL."""
    port = free_port()
    start_redis(
        *("--tls-port", str(port), "--tls-auth-clients", ask),
        *("--tls-cert-file", str(own.cert), "--tls-key-file", str(own.key)),
        *("--tls-ca-cert-file", str(authority.own.cert)),
    )
    return f"rediss://127.0.0.1:{port}/0"


@pytest.fixture
def tls_url(start_redis: StartRedis, authority: Authority) -> str:
    return start_tls(start_redis, authority, authority.issue("server", alternative="IP:127.0.0.1"))


def test_a_server_whose_certificate_our_authority_signed_is_trusted(
    tls_url: str, authority: Authority, bundle_digest: str
) -> None:
    assert lets_in(RedisAccess(tls_url, ca_file=authority.own.cert), bundle_digest)


def test_a_server_that_another_authority_signed_is_not(tls_url: str, tmp_path: Path) -> None:
    theirs = make_authority(tmp_path / "theirs")

    assert refusal(RedisAccess(tls_url, ca_file=theirs.own.cert)) == {"tls"}


def test_without_a_file_only_the_systems_authorities_are_trusted(tls_url: str) -> None:
    assert refusal(RedisAccess(tls_url)) == {"tls"}


def test_a_certificate_for_another_name_is_refused_unless_that_name_is_expected(
    start_redis: StartRedis, authority: Authority, bundle_digest: str
) -> None:
    own = authority.issue("elsewhere", alternative="DNS:redis.internal")
    url = start_tls(start_redis, authority, own)
    trusting = RedisAccess(url, ca_file=authority.own.cert)
    knowing = RedisAccess(url, ca_file=authority.own.cert, server_name="redis.internal")

    assert refusal(trusting) == {"tls"}
    assert lets_in(knowing, bundle_digest)


def test_a_server_that_asks_for_our_certificate_gets_it(
    start_redis: StartRedis, authority: Authority, bundle_digest: str
) -> None:
    own = authority.issue("server", alternative="IP:127.0.0.1")
    url = start_tls(start_redis, authority, own, ask="yes")
    ours = authority.issue("client", alternative="DNS:sentryfuse")
    anonymous = RedisAccess(url, ca_file=authority.own.cert)
    known = RedisAccess(url, ca_file=authority.own.cert, cert_file=ours.cert, key_file=ours.key)

    assert refusal(anonymous) <= {"tls", "unreachable"}
    assert lets_in(known, bundle_digest)


def test_an_authority_that_is_replaced_counts_from_the_next_connection(
    tls_url: str, authority: Authority, tmp_path: Path, bundle_digest: str
) -> None:
    mounted = tmp_path / "ca.pem"
    mounted.write_bytes(make_authority(tmp_path / "old").own.cert.read_bytes())

    async def scenario() -> None:
        async with opened(RedisAccess(tls_url, ca_file=mounted)) as found:
            assert not await found.link.connect()
            mounted.write_bytes(authority.own.cert.read_bytes())
            await closed(found.link)
            assert await found.works(bundle_digest)

    asyncio.run(scenario())


def test_a_broken_new_file_leaves_the_old_one_in_force(
    tls_url: str, authority: Authority, tmp_path: Path, bundle_digest: str
) -> None:
    mounted = tmp_path / "ca.pem"
    mounted.write_bytes(authority.own.cert.read_bytes())

    async def scenario() -> None:
        async with opened(RedisAccess(tls_url, ca_file=mounted)) as found:
            mounted.write_text("half a file")
            assert await found.link.connect()
            assert await found.works(bundle_digest)

    asyncio.run(scenario())


async def closed(link: RedisLink) -> None:
    async with asyncio.timeout(20):
        while link.breaker.open:
            await asyncio.sleep(0.01)


def test_a_password_from_a_file_is_read_again_when_it_changes(
    start_redis: StartRedis, tmp_path: Path, bundle_digest: str
) -> None:
    server = start_redis(password="right")
    url = f"redis://127.0.0.1:{server.port}/0"
    secret = tmp_path / "password"
    secret.write_text("wrong\n")

    async def scenario() -> None:
        async with opened(RedisAccess(url, password_file=secret)) as found:
            assert not await found.link.connect()
            assert set(found.failures) == {"authentication"}
            secret.write_text("right\n")
            await closed(found.link)
            assert await found.works(bundle_digest)

    asyncio.run(scenario())


def test_a_unix_socket_works(start_redis: StartRedis, tmp_path: Path, bundle_digest: str) -> None:
    start_redis("--unixsocket", str(tmp_path / "redis.sock"))

    assert lets_in(RedisAccess(f"unix://{tmp_path}/redis.sock"), bundle_digest)


def add_user(server: RedisServer, line: str) -> str:
    """Add a user by a line of an ACL file; return the URL with name and password."""
    _, name, *rules = line.split()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", name, *rules)
    (password,) = (rule[1:] for rule in rules if rule.startswith(">"))
    return f"redis://{name}:{password}@127.0.0.1:{server.port}/0"


def test_the_documented_permissions_are_enough_for_the_service(
    start_redis: StartRedis, start_http: StartHttp
) -> None:
    server = start_redis(password="admin")
    service = start_http(redis_url=add_user(server, ACL))

    assert service.infer().status_code == 200
    assert service.metric("sentryfuse_redis_breaker_open") == 0
    failures = scraped(service.client.get("/metrics").content)
    assert not any(v for (name, _), v in failures.items() if "redis_failures_total" in name)
    with server.client() as client:
        assert len(client.keys("sentryfuse:1:*:mask:*")) == 3
        assert len(client.keys("sentryfuse:1:*:profile:*")) == 1
        assert client.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize("right", ["+mget", "+set", "~sentryfuse:1:*"])
def test_each_documented_permission_is_needed(
    start_redis: StartRedis, bundle_digest: str, right: str
) -> None:
    url = add_user(start_redis(password="admin"), ACL.replace(right, ""))

    async def scenario() -> None:
        async with opened(RedisAccess(url)) as found:
            assert not await found.works(bundle_digest)
            assert set(found.failures) == {"refused"}

    asyncio.run(scenario())


def test_a_user_from_the_settings_and_a_password_from_a_file_go_together(
    start_redis: StartRedis, tmp_path: Path, bundle_digest: str
) -> None:
    server = start_redis(password="admin")
    add_user(server, ACL)
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    url = f"redis://127.0.0.1:{server.port}/0"

    assert lets_in(RedisAccess(url, username="sentryfuse", password_file=secret), bundle_digest)


def test_a_service_that_does_not_trust_its_redis_goes_on_without_it(
    tls_url: str, tmp_path: Path, start_http: StartHttp
) -> None:
    theirs = make_authority(tmp_path / "theirs")
    service = start_http(redis_url=tls_url, redis_ca_file=theirs.own.cert)

    assert service.infer().status_code == 200
    assert service.metric("sentryfuse_redis_breaker_open") == 1
    assert service.metric("sentryfuse_redis_failures_total", reason="tls")


def test_failures_to_be_let_in_do_not_log_the_password(
    start_redis: StartRedis, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis(password="right")
    caplog.set_level(logging.DEBUG)

    assert refusal(RedisAccess(f"redis://:hunter2@127.0.0.1:{server.port}/0"))
    assert "hunter2" not in caplog.text
