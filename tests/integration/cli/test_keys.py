"""keys: made once, kept as hashes, listed, revoked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.security.keyfile import read_keys
from tests.integration.cli.conftest import Run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_new_key_is_printed_alone_and_only_its_hash_is_kept(run: Run, file: Path) -> None:
    done = run("keys", "new", "--name", "gateway", "--scope", "infer", "--file", file)
    assert done.code == 0
    secret = done.out.strip()
    found = read_keys(file).find(secret.encode())
    assert found is not None
    assert (found.name, found.scopes) == ("gateway", {"infer"})
    assert secret not in file.read_text()


def test_keys_are_listed_with_what_they_are_good_for(run: Run, file: Path) -> None:
    run("keys", "new", "--name", "a", "--scope", "infer", "--scope", "read", "--file", file)
    run("keys", "new", "--name", "b", "--scope", "admin", "--expires-days", 0, "--file", file)
    listed = run("keys", "list", "--file", file, "--json").data
    assert [(k["name"], k["scopes"], k["expired"]) for k in listed] == [
        ("a", ["infer", "read"], False),
        ("b", ["admin"], True),
    ]
    assert "infer, read" in run("keys", "list", "--file", file).out


def test_a_revoked_key_is_gone(run: Run, file: Path, failure: Callable[..., str]) -> None:
    run("keys", "new", "--name", "a", "--scope", "infer", "--file", file)
    assert run("keys", "revoke", "a", "--file", file).code == 0
    assert read_keys(file).keys == ()
    assert "no key is called 'a'; there is none" in failure("keys", "revoke", "a", "--file", file)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--name", "a", "--scope", "write"), "got write"),
        (("--name", "two words", "--scope", "read"), "letters, digits"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    failure: Callable[..., str], file: Path, options: tuple[str, ...], complaint: str
) -> None:
    assert complaint in failure("keys", "new", *options, "--file", file)
    assert not file.exists()


def test_a_name_can_be_given_once(run: Run, failure: Callable[..., str], file: Path) -> None:
    options = ("keys", "new", "--name", "a", "--scope", "read", "--file", file)
    run(*options)
    assert "two keys are called a" in failure(*options)


def test_the_file_of_the_service_is_the_default(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRYFUSE_API_KEYS_FILE", str(file))
    assert run("keys", "new", "--name", "a", "--scope", "read").code == 0
    assert [key.name for key in read_keys(file).keys] == ["a"]
