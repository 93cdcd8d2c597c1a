from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (extra: train)")

from sentryfuse.bundle import read_bundle  # noqa: E402
from sentryfuse.data.normalise import fit_normalisation  # noqa: E402
from sentryfuse.data.windows import load_windows  # noqa: E402
from sentryfuse.errors import ConfigError  # noqa: E402
from sentryfuse.learn.loop import Trainer  # noqa: E402
from sentryfuse.learn.settings import Recipe  # noqa: E402
from sentryfuse.learn.train import TrainingProgress, model_spec, train_bundle  # noqa: E402
from sentryfuse.presence import Presence  # noqa: E402
from sentryfuse.variants import VariantBuilder  # noqa: E402
from tests.bundles import random_windows  # noqa: E402

SMALL = {
    "embed_dim": 12,
    "num_heads": 4,
    "head_dim": 4,
    "ffn_dim": 16,
    "num_experts": 2,
    "expert_dim": 8,
    "experts_per_token": 2,
    "fusion_layers": 1,
    "max_tokens": 6,
}


RICH = {"steps": 5, "summary": "rich", "standardise_summary": True, "feature_dropout": 0.3}


def recipe(
    kind: str = "maestro", *, shape: Mapping[str, object] | None = None, **training: object
) -> Recipe:
    settings = {"epochs": 2, "batch_size": 16, "threads": 1, **training}
    backbone = {**SMALL, "kind": kind, **(shape or {})}
    return Recipe.from_mapping({"backbone": backbone, "training": settings})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sensors, three classes told apart by a level in each; six groups."""
    rng = np.random.default_rng(0)
    label = np.arange(180) % 3
    level = label[:, None, None]
    path = tmp_path_factory.mktemp("data") / "levels.npz"
    np.savez(
        path,
        a=(2 * level + rng.normal(0, 0.5, (180, 24, 3))).astype(np.float16),
        b=(rng.normal(0, 0.5, (180, 10, 1)) - 2 * level).astype(np.float32),
        label=label,
        group=np.arange(180) // 30,
    )
    return path


def test_training_learns_and_ships_a_bundle_that_reads(data: Path, tmp_path: Path) -> None:
    seen: list[TrainingProgress] = []
    out = train_bundle(
        data,
        tmp_path / "bundle",
        recipe(epochs=12, learning_rate=5e-3, ema_decay=0.9),
        run_dir=tmp_path / "run",
        on_progress=seen.append,
    )
    bundle = read_bundle(out)
    assert bundle.accuracy.expected(Presence.full(2), 0) > 0.8
    assert set(bundle.training["split"]["train"]).isdisjoint(bundle.training["split"]["test"])
    assert [p.done for p in seen if p.phase == "train"] == list(range(1, 13))
    assert [p.total for p in seen if p.phase == "measure"] == [3, 3, 3]


def test_normalisation_knows_only_the_training_groups(data: Path, tmp_path: Path) -> None:
    bundle = read_bundle(
        train_bundle(data, tmp_path / "b", recipe(epochs=1), run_dir=tmp_path / "run")
    )
    content = np.load(data)
    chosen = np.isin(content["group"], bundle.training["split"]["train"])
    expected = content["b"][chosen].mean(dtype=np.float64)
    assert bundle.normalisation["b"].mean[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [{}, RICH], ids=["plain", "rich, with dropout"])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    shape: dict[str, object], data: Path, tmp_path: Path
) -> None:
    class PowerCutError(Exception):
        pass

    def cut(progress: TrainingProgress) -> None:
        if progress.done == 1:
            raise PowerCutError

    whole = train_bundle(data, tmp_path / "whole", recipe(shape=shape), run_dir=tmp_path / "run1")
    with pytest.raises(PowerCutError):
        train_bundle(
            data,
            tmp_path / "parts",
            recipe(shape=shape),
            run_dir=tmp_path / "run2",
            on_progress=cut,
        )
    parts = train_bundle(
        data, tmp_path / "parts", recipe(shape=shape), run_dir=tmp_path / "run2", resume=True
    )
    for name, array in read_bundle(whole).weights.items():
        np.testing.assert_allclose(read_bundle(parts).weights[name], array, atol=1e-6)


def test_elastic_steps_begin_when_they_are_told_to(data: Path) -> None:
    windows = load_windows(data)
    settings = recipe(epochs=4, elastic_from=0.5)
    trainer = Trainer(
        model_spec(windows, settings), settings.training, windows, fit_normalisation(windows)
    )

    losses = [trainer.run_epoch().pruned_loss for _ in range(4)]

    assert losses[:2] == [0, 0]
    assert all(loss > 0 for loss in losses[2:])


def test_training_goes_on_from_a_model_that_is_given(data: Path) -> None:
    windows, settings = load_windows(data), recipe(shape={"sample_norm": True})
    spec, statistics = model_spec(windows, settings), fit_normalisation(windows)
    first = Trainer(spec, settings.training, windows, statistics)
    first.run_epoch()
    before = {name: w.clone() for name, w in first.averaged.state_dict().items()}

    further = Trainer(spec, settings.training, windows, statistics, model=first.averaged)

    for name, weights in further.averaged.state_dict().items():
        torch.testing.assert_close(weights, before[name], rtol=0, atol=0)
    further.run_epoch()
    name = "backbone.classifier.weight"
    assert not torch.equal(further.averaged.state_dict()[name], before[name])


def test_where_values_are_missing_the_model_learns_from_which_are(
    data: Path, tmp_path: Path
) -> None:
    content = dict(np.load(data))
    rng = np.random.default_rng(1)
    content["b"] = rng.normal(size=content["b"].shape).astype(np.float32)
    # Nothing but what was measured tells the classes apart.
    content["b"][rng.random(content["b"].shape) < content["label"][:, None, None] / 2.2] = np.nan
    np.savez(tmp_path / "gaps.npz", **{k: v for k, v in content.items() if k != "a"})
    settings = recipe(epochs=12, learning_rate=5e-3, ema_decay=0.9, shape=RICH)
    out = train_bundle(
        tmp_path / "gaps.npz", tmp_path / "bundle", settings, run_dir=tmp_path / "run"
    )
    bundle = read_bundle(out)
    assert bundle.spec.modalities[0].gaps
    assert bundle.normalisation["b"].gaps
    assert bundle.accuracy.expected(Presence.full(1), 0) > 0.8


def test_a_run_of_another_recipe_is_not_resumed(data: Path, tmp_path: Path) -> None:
    train_bundle(data, tmp_path / "a", recipe(epochs=1), run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match="another recipe"):
        train_bundle(data, tmp_path / "b", recipe(epochs=2), run_dir=tmp_path / "run", resume=True)


@pytest.mark.parametrize("kind", ["flexmoe", "fusemoe"])
def test_every_backbone_trains_as_in_the_paper_too(kind: str, data: Path, tmp_path: Path) -> None:
    settings = recipe(kind, epochs=8, learning_rate=5e-3, ema_decay=0.9, elastic=False)
    out = train_bundle(data, tmp_path / "bundle", settings, run_dir=tmp_path / "run")
    assert read_bundle(out).accuracy.expected(Presence.full(2), 0) > 0.7


@pytest.mark.parametrize("path", sorted(Path("configs").glob("smoke*.toml")), ids=lambda p: p.name)
def test_a_smoke_recipe_learns_and_its_bundle_can_be_pruned(
    path: Path, data: Path, tmp_path: Path
) -> None:
    settings = Recipe.from_toml(path)
    quick = replace(settings.training, batch_size=16, threads=1, ema_decay=0.9)
    settings = replace(settings, training=quick)
    out = train_bundle(data, tmp_path / "bundle", settings, run_dir=tmp_path / "run")
    bundle = read_bundle(out)
    assert bundle.accuracy.expected(Presence.full(2), 0) > 0.6
    assert bundle.gate.scores(Presence(1, 2)).std() > 0
    builder = VariantBuilder(bundle)
    variant = builder.build(builder.mask(Presence(1, 2), 0.5))
    assert np.isfinite(variant.run(random_windows(bundle.spec, ("a",), batch=2))).all()


@pytest.mark.parametrize("kind", ["flexmoe", "fusemoe"])
def test_the_routers_loss_trains_routers_and_leaves_the_gates_teacher_alone(
    kind: str, data: Path
) -> None:
    windows = load_windows(data)
    routers, targets = [], []
    for weight in (0.0, 100.0):
        chosen = recipe(kind, epochs=1, batch_size=180, router_weight=weight)
        spec, normalisation = model_spec(windows, chosen), fit_normalisation(windows)
        trainer = Trainer(spec, chosen.training, windows, normalisation)
        trainer.run_epoch()
        state = trainer.model.backbone.state_dict()
        routers.append(torch.cat([w.flatten() for n, w in state.items() if "routers" in n]))
        targets.append(trainer._teacher.target(Presence.full(2)))
    assert not torch.allclose(*routers)
    torch.testing.assert_close(*targets)


def test_a_run_from_before_a_setting_existed_is_resumed(data: Path, tmp_path: Path) -> None:
    out, run_dir = tmp_path / "a", tmp_path / "run"
    train_bundle(data, out, recipe(epochs=1), run_dir=run_dir)
    log = json.loads((run_dir / "run.json").read_text())
    del log["recipe"]["training"]["teacher"]
    (run_dir / "run.json").write_text(json.dumps(log))
    train_bundle(data, out, recipe(epochs=1), run_dir=run_dir, resume=True)
    assert read_bundle(out).training["recipe"]["training"]["teacher"] == "first_order"


TEACHINGS = {
    "first order": {},
    "Fisher": {"teacher": "fisher"},
    "pruned pass alone": {"teacher": "none"},
    "first order alone": {"straight_through": False},
}


def test_every_way_to_teach_the_gate_gives_other_scores(data: Path) -> None:
    windows = load_windows(data)
    scores = []
    for settings in TEACHINGS.values():
        chosen = recipe(learning_rate=1e-2, align_weight=1.0, binarise_weight=0.0, **settings)
        spec, normalisation = model_spec(windows, chosen), fit_normalisation(windows)
        trainer = Trainer(spec, chosen.training, windows, normalisation)
        trainer.run_epoch()
        scores.append(trainer.model.gate(Presence.full(2)).detach().numpy())
    for one, other in combinations(scores, 2):
        assert not np.allclose(one, other, atol=1e-3)


def test_training_without_elastic_steps_trains_the_gate_through_soft_scores(
    data: Path, tmp_path: Path
) -> None:
    bundles = [
        read_bundle(
            train_bundle(
                data,
                tmp_path / name,
                recipe(epochs=2, elastic=elastic),
                run_dir=tmp_path / f"run-{name}",
            )
        )
        for name, elastic in (("plain", False), ("elastic", True))
    ]
    plain, elastic = (b.gate.scores(Presence.full(2)) for b in bundles)
    assert plain.std() > 0
    assert not np.allclose(plain, elastic)


def test_the_gate_of_a_conventional_backbone_does_not_touch_it(data: Path) -> None:
    windows = load_windows(data)
    weights = []
    for gate_bias in (0.0, 5.0):
        chosen = recipe(epochs=1, elastic=False, gated=False, teacher="none")
        spec, normalisation = model_spec(windows, chosen), fit_normalisation(windows)
        trainer = Trainer(spec, chosen.training, windows, normalisation)
        with torch.no_grad():
            for parameter in trainer.model.gate.parameters():
                parameter += gate_bias
        trainer.run_epoch()
        weights.append(trainer.model.backbone.state_dict())

    for one, other in zip(weights[0].values(), weights[1].values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
