from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import UnknownModelError
from app.inference.repository import Stored, find_models, pick
from sentryfuse.errors import BundleError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def test_every_version_is_found_the_newest_by_number_first(tmp_path: Path) -> None:
    shelf = find_models(make(tmp_path, "gait/2", "gait/10", "gait/9"))
    assert [one.version for one in shelf["gait"]] == ["10", "9", "2"]
    assert shelf["gait"][0] == Stored("gait", "10", tmp_path / "gait/10")


def test_models_come_in_order_of_their_names(tmp_path: Path) -> None:
    assert list(find_models(make(tmp_path, "b/1", "a/1"))) == ["a", "b"]


def test_what_is_no_model_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "gait/1", "gait/latest", "notes", ".git/1", "bad name/1")
    (tmp_path / "README").write_text("hello")
    (tmp_path / "gait" / "3").write_text("a file")
    shelf = find_models(tmp_path)
    assert [one.version for versions in shelf.values() for one in versions] == ["1"]


def test_a_directory_without_models_says_where_one_should_be(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds no model; put a bundle into .*/NAME/1/"):
        find_models(tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"SENTRYFUSE_MODELS: .*nowhere is not a directory"):
        find_models(tmp_path / "nowhere")


def test_one_version_or_all_of_them_are_picked(tmp_path: Path) -> None:
    shelf = find_models(make(tmp_path, "gait/1", "gait/2"))
    assert pick(shelf, "gait") == shelf["gait"]
    assert [one.version for one in pick(shelf, "gait", "1")] == ["1"]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../gait", "gait/1", "/etc", "gait\0", "GAIT", "gait ", "%2e%2e", "x" * 999],
)
def test_only_what_is_listed_is_picked(tmp_path: Path, name: str) -> None:
    shelf = find_models(make(tmp_path / "models", "gait/1"))
    with pytest.raises(UnknownModelError, match="is stored; there is gait"):
        pick(shelf, name)
    with pytest.raises(UnknownModelError, match="of model gait is stored; there is 1"):
        pick(shelf, "gait", name)
