from __future__ import annotations

from pathlib import Path

import pytest

from sentryfuse.bench.grid.config import read_grid
from sentryfuse.bench.grid.jobs import Measurement, Training, measurements, shard_of, trainings
from sentryfuse.errors import ConfigError

CONFIGS = Path(__file__).parents[4] / "configs" / "bench"
SMALL = """
name = "one"
data = ["toy"]
backbones = ["maestro"]
seeds = [0, 1]
ratios = [0.5]
missing = [0]
methods = ["random", "magnitude"]
strongest_of = ["random"]
random_draws = 2
small_ratios = [0.5]
[recipe.training]
epochs = 3
learning_rate = 1e-3
[of_data.toy.training]
epochs = 7
[of_backbone.maestro.backbone]
embed_dim = 32
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["paper144.toml", "smoke.toml"])
def test_the_shipped_grids_can_be_read(name: str) -> None:
    assert read_grid(CONFIGS / name).methods


def test_the_papers_grid_has_its_144_cells() -> None:
    grid = read_grid(CONFIGS / "paper144.toml")

    assert len(grid.data) * len(grid.backbones) * len(grid.ratios) * len(grid.missing) == 144
    assert len(grid.seeds) >= 3


def test_recipes_of_data_and_backbone_lie_over_the_common_one(tmp_path: Path) -> None:
    recipe = read_grid(written(tmp_path, SMALL)).recipe_of("toy", "maestro")

    assert (recipe.training.epochs, recipe.training.learning_rate) == (7, 1e-3)
    assert (recipe.backbone.embed_dim, recipe.backbone.kind) == (32, "maestro")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("magnitude", "magnitud"), "magnitud"),
        (("ratios = [0.5]", "ratios = [1.5]"), "1.5"),
        (("seeds = [0, 1]", "seeds = []"), "seeds"),
        (('strongest_of = ["random"]', 'strongest_of = ["flap"]'), "flap"),
        (("epochs = 7", "epoch = 7"), "epoch"),
        (("random_draws = 2", "random_draws = 2\ntest_every = {toy = 0}"), "test_every.toy"),
        (("random_draws = 2", 'random_draws = 2\nmetric_of = {toy = "recal"}'), "recal"),
        (("name =", "nome ="), "nome"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, change: tuple[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        read_grid(written(tmp_path, SMALL.replace(*change)))


def test_every_model_is_trained_for_every_seed_and_measured_with_every_method(
    tmp_path: Path,
) -> None:
    grid = read_grid(written(tmp_path, SMALL))
    models = list(trainings(grid))

    assert [(m.school, m.seed) for m in models] == [
        (school, seed) for seed in (0, 1) for school in ("sentryfuse", "conventional", "small")
    ]
    methods = {m.school: [job.method for job in measurements(grid, m)] for m in models}
    assert methods["sentryfuse"] == ["unpruned", "sentrygate", "random", "random", "magnitude"]
    assert methods["conventional"] == ["unpruned", "random", "random", "magnitude"]
    assert methods["small"] == ["unpruned"]


def test_baselines_on_our_backbone_may_stop_at_the_ratios_that_count(tmp_path: Path) -> None:
    beyond = "ratios = [0.5]\nbeyond = [0.9]\nbeyond_on_ours = [0]"
    grid = read_grid(written(tmp_path, SMALL.replace("ratios = [0.5]", beyond, 1)))

    assert grid.ratios_of(baseline_on_ours=True, seed=0) == (0.5, 0.9)
    assert grid.ratios_of(baseline_on_ours=True, seed=1) == (0.5,)
    assert grid.ratios_of(baseline_on_ours=False, seed=1) == (0.5, 0.9)


def test_every_job_has_a_name_of_its_own() -> None:
    grid = read_grid(CONFIGS / "paper144.toml")
    jobs = [job.name for model in trainings(grid) for job in (model, *measurements(grid, model))]

    assert len({*jobs}) == len(jobs)


def test_shards_share_all_models_out_and_none_twice() -> None:
    models = list(trainings(read_grid(CONFIGS / "paper144.toml")))
    shares = [[m for m in models if shard_of(m, 4) == index] for index in range(4)]

    assert sum(map(len, shares)) == len(models)
    assert all(shares)


def test_random_draws_are_told_apart_and_others_are_not() -> None:
    model = Training("toy", "maestro", "sentryfuse", 0)

    assert Measurement(model, "random", 1).name.endswith("random-1")
    assert Measurement(model, "flap").name.endswith("flap")
