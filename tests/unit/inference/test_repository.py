from __future__ import annotations

from pathlib import Path

import pytest

from app.inference.repository import find_models
from sentryfuse.errors import BundleError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def test_the_highest_version_is_served_by_number_not_by_text(tmp_path: Path) -> None:
    (found,) = find_models(make(tmp_path, "gait/2", "gait/10", "gait/9"))
    assert (found.name, found.version, found.path) == ("gait", "10", tmp_path / "gait/10")


def test_models_come_in_order_of_their_names(tmp_path: Path) -> None:
    found = find_models(make(tmp_path, "b/1", "a/1"))
    assert [stored.name for stored in found] == ["a", "b"]


def test_what_is_no_model_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "gait/1", "gait/latest", "notes", ".git/1", "bad name/1")
    (tmp_path / "README").write_text("hello")
    assert [stored.name for stored in find_models(tmp_path)] == ["gait"]


def test_a_directory_without_models_says_where_one_should_be(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds no model; put a bundle into .*/NAME/1/"):
        find_models(tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"SENTRYFUSE_MODELS: .*nowhere is not a directory"):
        find_models(tmp_path / "nowhere")
