"""train: from a data set to a bundle that the other commands take."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sentryfuse.bundle import read_bundle
from sentryfuse.data.windows import save_windows
from tests.integration.cli.conftest import Run, labelled_windows

pytest.importorskip("torch", reason="training needs torch")

TINY = """
[backbone]
embed_dim = 8
num_heads = 2
head_dim = 4
fusion_layers = 1
ffn_dim = 8
num_experts = 2
expert_dim = 4
experts_per_token = 2
max_tokens = 4

[training]
epochs = 2
batch_size = 16
threads = 1
seed = 3
"""


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Two modalities only: the accuracy table has a row for each presence."""
    windows = labelled_windows()
    two = windows.modalities[:2]
    arrays = {m.name: windows.arrays[m.name] for m in two}
    save_windows(replace(windows, modalities=two, arrays=arrays), tmp_path / "toy.npz")
    return tmp_path / "toy.npz"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_a_bundle_is_trained_and_can_be_inspected_asked_and_simulated(
    run: Run, recipe: Path, data_set: Path
) -> None:
    done = run("train", "--data", data_set, "--config", recipe, "--out", "models/mine/1")
    assert done.code == 0
    assert done.out.startswith("models/mine/1: accuracy 0.")
    assert "train: 2 of 2 loss" in done.err
    assert "measure: 3 of 3" in done.err
    assert (Path("runs") / "mine-1" / "checkpoint.pt").exists()
    assert len(run("inspect", "models/mine/1", "--no-profile", "--json").data["variants"]) == 6
    assert run("predict", "models/mine/1", data_set, "--part", "test", "-q").code == 0
    assert run("data", "simulate", "models/mine/1").code == 0


def test_options_win_over_the_recipe(run: Run, recipe: Path, data_set: Path) -> None:
    options = ("--epochs", 1, "--seed", 7, "--no-elastic", "--backbone", "flexmoe")
    done = run(
        "train", "--data", data_set, "--config", recipe, "--out", "m", *options, "--run-dir", "r"
    )
    assert done.code == 0
    assert read_bundle(Path("m")).spec.backbone.kind == "flexmoe"
    training = read_bundle(Path("m")).training["recipe"]["training"]
    assert [training[k] for k in ("epochs", "seed", "elastic")] == [1, 7, False]
    assert training["batch_size"] == 16
    assert (Path("r") / "run.json").exists()


def test_a_run_is_resumed(run: Run, recipe: Path, data_set: Path) -> None:
    arguments = ("train", "--data", data_set, "--config", recipe, "--out", "m/1", "--resume")
    assert run(*arguments, "-q").code == 0
    first = json.loads((Path("runs") / "m-1" / "run.json").read_text())
    assert run(*arguments, "-q").code == 0
    assert json.loads((Path("runs") / "m-1" / "run.json").read_text()) == first


def test_the_record_holds_what_was_typed_but_not_where_the_data_lay(
    run: Run, recipe: Path, data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["train", "--data", str(data_set), "--config", "tiny.toml", "--out", "m"]
    monkeypatch.setattr("sys.argv", ["sentryfuse", *typed])
    run(*typed, "-q")
    command = read_bundle(Path("m")).training["command"]
    assert command == "sentryfuse train --data toy.npz --config tiny.toml --out m"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--data", "gone.npz"], "gone.npz: no such file"),
        (["--config", "gone.toml"], "gone.toml: cannot be read"),
        (["--backbone", "resnet"], "'resnet'"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    failure: Callable[..., str], recipe: Path, data_set: Path, arguments: list[str], reason: str
) -> None:
    defaults = {"--data": data_set, "--config": recipe, "--out": Path("m")}
    given = {**defaults, **dict(zip(arguments[::2], arguments[1::2], strict=True))}
    assert reason in failure("train", *(word for pair in given.items() for word in pair))
    assert not Path("m").exists()


def test_without_torch_the_error_says_what_to_install(
    failure: Callable[..., str], recipe: Path, data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = failure("train", "--data", data_set, "--config", recipe, "--out", "m")
    assert 'pip install "sentryfuse[train]"' in line
