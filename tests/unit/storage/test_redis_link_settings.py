from __future__ import annotations

import sys
from pathlib import Path

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


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=0"])
def test_a_url_can_not_loosen_tls(option: str) -> None:
    with pytest.raises(ConfigError, match=f"must not say {option.partition('=')[0]}"):
        RedisLink(RedisAccess(f"rediss://localhost?{option}"))


def test_certificates_need_an_encrypted_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="need a rediss:// URL"):
        RedisAccess("redis://localhost", ca_file=tmp_path / "ca.pem")


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="come together"):
        RedisAccess("rediss://localhost", cert_file=tmp_path / "own.pem")


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be used \(.*ca\.pem\)"):
        RedisLink(RedisAccess("rediss://localhost", ca_file=tmp_path / "ca.pem"))


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_password_file_that_holds_no_password_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    secret = tmp_path / "password"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(ConfigError, match="password file of Redis can't be read"):
        RedisLink(RedisAccess("redis://localhost", password_file=secret))


def test_a_password_comes_from_one_place(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("one")
    with pytest.raises(ConfigError, match="in the URL and in a file"):
        RedisLink(RedisAccess("redis://:another@localhost", password_file=secret))


def test_a_user_comes_from_one_place() -> None:
    with pytest.raises(ConfigError, match="in the URL and in SENTRYFUSE_REDIS_USERNAME"):
        RedisLink(RedisAccess("redis://one:secret@localhost", username="another"))


def test_an_access_does_not_show_its_url() -> None:
    assert "hunter2" not in repr(RedisAccess("redis://:hunter2@localhost"))


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_timeout_that_is_not_positive_is_refused(timeout_s: float) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        RedisLink(RedisAccess("redis://localhost"), timeout_s=timeout_s)


def test_importing_storage_does_not_import_redis() -> None:
    import subprocess

    script = "import sys, app.storage; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
