from __future__ import annotations

import sys

import pytest

from app.storage import RedisAccess, RedisLink
from sentryfuse.errors import ConfigError


def test_without_the_redis_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)

    with pytest.raises(ConfigError, match=r"pip install 'sentryfuse\[redis\]'"):
        RedisLink(RedisAccess("redis://localhost"))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:6379",
        "localhost:6379",
        "redis://localhost:port",
        "redis://localhost?db=none",
        "redis://localhost?no_such_option=1",
        "",
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="the Redis URL makes no sense"):
        RedisLink(RedisAccess(url))


def test_a_refused_url_does_not_give_its_password_away() -> None:
    with pytest.raises(ConfigError) as refused:
        RedisLink(RedisAccess("redis://:hunter2/with-slash@localhost:6379/0"))

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_urls_own_timeouts_do_not_count() -> None:
    access = RedisAccess("redis://localhost?socket_timeout=60&decode_responses=1")
    link = RedisLink(access, timeout_s=0.02)

    assert link._pool.connection_kwargs["socket_timeout"] == 0.25
    assert link._pool.connection_kwargs["decode_responses"] is False


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_timeout_that_is_not_positive_is_refused(timeout_s: float) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        RedisLink(RedisAccess("redis://localhost"), timeout_s=timeout_s)


def test_importing_storage_does_not_import_redis() -> None:
    import subprocess

    script = "import sys, app.storage; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
