from __future__ import annotations

import asyncio
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.security.keyfile import KeyFollower, edit_keys, read_keys
from app.security.keys import KeyRing, new_key
from sentryfuse.errors import ConfigError


class Followed:
    """A key file with one key, and what its follower makes of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"
        self.names: list[str] = []
        self.readings: list[str] = []
        self.add("first")
        self.follower = KeyFollower(self.path, self._use, on_read=self.readings.append)
        self.follower.start()

    def _use(self, ring: KeyRing) -> None:
        self.names = [key.name for key in ring.keys]

    def add(self, name: str) -> None:
        key = new_key(name, frozenset({"infer"}))[1]
        edit_keys(self.path, lambda ring: KeyRing((*ring.keys, key)))

    def look(self) -> None:
        asyncio.run(self.follower.look())


def test_a_change_of_the_file_is_taken_in(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    followed.add("second")
    followed.look()
    assert followed.names == ["first", "second"]


def test_a_secret_that_kubernetes_swaps_by_its_links_is_followed(tmp_path: Path) -> None:
    (tmp_path / "..1").mkdir()
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    followed = Followed(tmp_path)
    second = new_key("second", frozenset({"infer"}))[1]
    (tmp_path / "..2").mkdir()
    edit_keys(tmp_path / "..2" / "keys.json", lambda _: KeyRing((second,)))

    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    followed.look()

    assert followed.names == ["second"]


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    followed.look()
    assert followed.readings == ["ok"]


@pytest.mark.parametrize("content", ["", "{", '{"keys": [{"name": "x"}]}', "\xff" * 2**20])
def test_a_broken_file_keeps_the_keys_and_is_told_once(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    followed = Followed(tmp_path)
    followed.path.write_text(content)
    followed.look()
    followed.look()
    assert followed.names == ["first"]
    assert followed.readings == ["ok", "failed"]
    assert "the keys stay as they are" in caplog.text


def test_a_file_that_is_gone_keeps_the_keys_until_it_is_back(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    kept = followed.path.read_text()
    followed.path.unlink()
    followed.look()
    assert followed.names == ["first"]
    followed.path.write_text(kept)
    followed.add("second")
    followed.look()
    assert followed.names == ["first", "second"]


def test_a_link_that_is_switched_is_a_change(tmp_path: Path) -> None:
    """As a mounted Kubernetes secret is updated."""
    old, new, link = (tmp_path / name for name in ("old.json", "new.json", "keys.json"))
    for path, name in ((old, "a"), (new, "b")):
        key = new_key(name, frozenset({"read"}))[1]
        path.write_text(json.dumps(KeyRing((key,)).to_json()))
        os.utime(path, (1, 1))
    link.symlink_to(old)
    names: list[str] = []
    follower = KeyFollower(link, lambda ring: names.append(ring.keys[0].name))
    follower.start()
    (tmp_path / "next").symlink_to(new)
    (tmp_path / "next").rename(link)
    asyncio.run(follower.look())
    assert names == ["a", "b"]


def test_a_service_does_not_start_without_the_file_it_was_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        KeyFollower(tmp_path / "gone", lambda ring: None).start()


def test_a_new_file_is_for_its_owner_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for mode in (0o600, 0o640):
        key = new_key(f"k{mode}", frozenset({"read"}))[1]
        edit_keys(path, lambda ring, key=key: KeyRing((*ring.keys, key)))
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o640)
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


def test_edits_at_once_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    def add(number: int) -> None:
        key = new_key(f"k{number}", frozenset({"read"}))[1]
        edit_keys(path, lambda ring: KeyRing((*ring.keys, key)))

    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(add, range(24)))
    assert len(read_keys(path).keys) == 24


def test_a_failed_edit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("not ours")
    with pytest.raises(ConfigError):
        edit_keys(path, lambda ring: ring)
    assert path.read_text() == "not ours"
