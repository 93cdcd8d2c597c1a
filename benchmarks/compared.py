"""Training for comparisons: a bundle of one recipe and one seed, trained once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from sentryfuse.accuracy import AccuracyTable
from sentryfuse.bundle import Bundle, write_bundle
from sentryfuse.data.normalise import fit_normalisation
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet
from sentryfuse.gate import Gate
from sentryfuse.learn.evaluate import accuracy_table
from sentryfuse.learn.loop import Trainer
from sentryfuse.learn.settings import Recipe
from sentryfuse.learn.train import model_spec, run_epochs
from sentryfuse.presence import Presence, all_presences


def trained(
    recipe: Recipe,
    windows: WindowSet,
    out: Path,
    *,
    presences: Iterable[Presence],
    ratios: Sequence[float] = (0.0,),
) -> Path:
    """Train a bundle, unless it is there; an interrupted run goes on where it stopped.

    Weights see the training groups, the accuracy table the validation groups.

    Args:
        recipe: Shape and training, seed included.
        windows: The whole data set.
        out: Folder of the run.
        presences: Of the bundle's accuracy table.
        ratios: Likewise; they begin with 0.

    Returns:
        Where the bundle is.
    """
    bundle_path = out / "bundle"
    if (bundle_path / "manifest.json").exists():
        return bundle_path
    split = recommended_split(windows)
    train = windows.of_groups(split.train)
    normalisation = fit_normalisation(train)
    trainer = Trainer(model_spec(windows, recipe), recipe.training, train, normalisation)
    run_epochs(
        trainer,
        recipe,
        out / "run",
        resume=True,
        on_progress=lambda p: print(out.name, p.done, p.message, flush=True),
    )
    backbone, gate = trainer.averaged.backbone, trainer.averaged.gate.to_arrays()
    table = accuracy_table(
        backbone,
        Gate.from_arrays(gate).scores,
        windows.of_groups(split.val),
        normalisation,
        presences,
        ratios,
    )
    bundle = Bundle(
        spec=backbone.spec,
        normalisation=normalisation,
        weights={name: w.numpy() for name, w in backbone.state_dict().items()},
        gate_arrays=gate,
        simulator_arrays={},
        accuracy=AccuracyTable(tuple(round(1000 * r) for r in ratios), table),
        licence=str(windows.meta.get("source", {}).get("licence", "unknown")),
        training={"recipe": json.loads(json.dumps(recipe.to_json()))},
    )
    write_bundle(bundle, bundle_path)
    return bundle_path


def full_and_one_missing(size: int) -> list[Presence]:
    """Every sensor, and each one missing."""
    return [*all_presences(size, 0), *all_presences(size, 1)]
