from __future__ import annotations

from pathlib import Path

import pytest

from sentryfuse.errors import ConfigError
from sentryfuse.learn.settings import Recipe, TrainingSettings

CONFIGS = sorted(Path("configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_recipe_in_configs_reads(path: Path) -> None:
    assert Recipe.from_toml(path).training.epochs > 0


def test_what_a_recipe_leaves_out_keeps_its_default() -> None:
    recipe = Recipe.from_mapping({"training": {"epochs": 3, "augment": {"rotate": ["a"]}}})
    assert recipe.training.epochs == 3
    assert recipe.training.augment.rotate == ("a",)
    assert recipe.training.batch_size == TrainingSettings().batch_size


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"trainig": {}}, "'trainig'"),
        ({"training": {"epoch": 3}}, "'epoch'"),
        ({"backbone": {"width": 3}}, "'width'"),
        ({"training": {"augment": {"flip": True}}}, "'flip'"),
        ({"training": {"epochs": 0}}, "epochs"),
        ({"training": {"max_ratio": 1.0}}, "max_ratio"),
        ({"training": {"teacher": "oracle"}}, "'oracle'"),
        ({"training": {"teacher": "none", "straight_through": False}}, "learn from nothing"),
        ({"training": {"gated": False}}, "gated"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(data: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Recipe.from_mapping(data)


@pytest.mark.parametrize("text", ["not toml [", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.toml"):
        Recipe.from_toml(path)
