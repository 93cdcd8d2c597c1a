"""From a window data set to a bundle: the whole training job."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sentryfuse.accuracy import AccuracyTable
from sentryfuse.bundle import Bundle, write_bundle
from sentryfuse.data.normalise import fit_normalisation
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.data.splits import Split, recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.errors import ConfigError
from sentryfuse.gate import Gate
from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.evaluate import accuracy_table
from sentryfuse.learn.loop import EpochReport, Trainer
from sentryfuse.learn.settings import Recipe
from sentryfuse.presence import Presence, all_presences
from sentryfuse.provenance import current_commit
from sentryfuse.spec import ModelSpec, Normalisation, TaskSpec

logger = logging.getLogger(__name__)

MEASURED_RATIOS = (0.0, 0.25, 0.5, 0.65, 0.8, 0.9, 0.95)
# All presences of six modalities; beyond that some of each level stand for the others.
_MAX_PRESENCES = 63


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far the job is: epochs trained, or presences measured."""

    phase: Literal["train", "measure"]
    done: int
    total: int
    message: str


def train_bundle(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    run_dir: Path,
    resume: bool = False,
    command: str = "",
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> Path:
    """Train backbone and gate on a data set and write a bundle.

    Normalisation and weights see the training groups only; the accuracy table is measured on the
    validation groups; the test groups are not touched.

    Args:
        data: Window data set, ``.npz``.
        out: Directory of the bundle.
        recipe: Model shape and training settings.
        run_dir: Where checkpoints and the epoch log go.
        resume: Continue the run in ``run_dir`` if there is one.
        command: What was typed, for the record.
        on_progress: Told after each epoch and each measured presence.

    Returns:
        ``out``.

    Raises:
        DataError: The data set is not usable.
        ConfigError: The recipe does not fit the data or the run to resume.
    """
    windows = load_windows(data)
    split = recommended_split(windows)
    spec = model_spec(windows, recipe)
    train = windows.of_groups(split.train)
    normalisation = fit_normalisation(train)
    trainer = Trainer(spec, recipe.training, train, normalisation)
    log = run_epochs(trainer, recipe, run_dir, resume=resume, on_progress=on_progress)
    model = trainer.averaged
    gate_arrays = model.gate.to_arrays()
    record = training_record(windows, split, recipe, command, log)
    bundle = make_bundle(model.backbone, gate_arrays, windows, split, record, on_progress)
    digest = write_bundle(bundle, out)
    logger.info("wrote %s, digest %s", out, digest)
    return out


def make_bundle(
    backbone: Backbone,
    gate_arrays: dict[str, NDArray[np.float32]],
    windows: WindowSet,
    split: Split,
    record: Mapping[str, Any],
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> Bundle:
    """Put a trained model together with all that serving it needs.

    Args:
        backbone: Trained on the training groups.
        gate_arrays: Its gate, as exported.
        windows: The whole data set.
        split: Statistics come from its training groups, the accuracy table from its validation
            groups; the test groups are not touched.
        record: How it was trained.
        on_progress: Told after each measured presence.
    """
    train, val = windows.of_groups(split.train), windows.of_groups(split.val)
    normalisation = fit_normalisation(train)
    gate = Gate.from_arrays(gate_arrays)
    return Bundle(
        spec=backbone.spec,
        normalisation=normalisation,
        weights={k: v.numpy() for k, v in backbone.state_dict().items()},
        gate_arrays=gate_arrays,
        simulator_arrays=WindowSimulator.fit(train).to_arrays(),
        accuracy=measure_accuracy(backbone, gate, val, normalisation, on_progress),
        licence=_licence(windows),
        training=dict(record),
    )


def model_spec(windows: WindowSet, recipe: Recipe) -> ModelSpec:
    """Return the spec of a model for this data set."""
    return ModelSpec(
        task=TaskSpec(name=windows.name, class_names=windows.class_names),
        modalities=windows.modalities,
        backbone=recipe.backbone,
        gate_hidden_dim=recipe.gate_hidden_dim,
    )


def measure_accuracy(
    backbone: Backbone,
    gate: Gate,
    windows: WindowSet,
    normalisation: Mapping[str, Normalisation],
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> AccuracyTable:
    """Measure the accuracy table of a trained model and its exported gate on held-out windows."""
    presences = _presences_to_measure(len(windows.modalities))
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        on_progress(TrainingProgress("measure", done, len(presences), "presences measured"))

    rows = accuracy_table(
        backbone, gate.scores, windows, normalisation, presences, MEASURED_RATIOS, tick
    )
    return AccuracyTable(tuple(round(1000 * r) for r in MEASURED_RATIOS), rows)


def _presences_to_measure(size: int) -> list[Presence]:
    if 2**size - 1 <= _MAX_PRESENCES:
        return list(all_presences(size))
    rng = np.random.default_rng(0)
    per_level = _MAX_PRESENCES // size
    chosen = []
    for missing in range(size):
        drawn = {
            tuple(sorted(rng.choice(size, size - missing, replace=False).tolist()))
            for _ in range(per_level)
        }
        chosen += [Presence.of(kept, size) for kept in sorted(drawn)]
    return chosen


def run_epochs(
    trainer: Trainer,
    recipe: Recipe,
    run_dir: Path,
    *,
    resume: bool,
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> dict[str, Any]:
    """Train to the last epoch, checkpointing each; return losses and seconds by epoch.

    Raises:
        ConfigError: The run to resume is of another recipe.
    """
    checkpoint, log_path = run_dir / "checkpoint.pt", run_dir / "run.json"
    log: dict[str, Any] = {"recipe": _plain(recipe), "commit": current_commit(), "epochs": []}
    if resume and checkpoint.exists():
        log = json.loads(log_path.read_text(encoding="utf-8"))
        if Recipe.from_mapping(log["recipe"]) != recipe:
            raise ConfigError(f"{run_dir} holds a run of another recipe; choose another run folder")
        trainer.resume(checkpoint)
        log["epochs"] = log["epochs"][: trainer.epoch]
    while trainer.epoch < recipe.training.epochs:
        started = time.perf_counter()
        report = trainer.run_epoch()
        log["epochs"].append(_epoch_entry(report, time.perf_counter() - started))
        trainer.save(checkpoint)
        log_path.write_text(json.dumps(log), encoding="utf-8")
        message = f"loss {report.loss:.3f}, pruned {report.pruned_loss:.3f}"
        on_progress(TrainingProgress("train", report.epoch, recipe.training.epochs, message))
    return log


def _epoch_entry(report: EpochReport, seconds: float) -> dict[str, float]:
    return {
        "loss": round(report.loss, 5),
        "pruned_loss": round(report.pruned_loss, 5),
        "gate_loss": round(report.gate_loss, 5),
        "seconds": round(seconds, 2),
    }


def _plain(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as JSON would give it back (tuples become lists)."""
    plain: dict[str, Any] = json.loads(json.dumps(recipe.to_json()))
    return plain


def training_record(
    windows: WindowSet, split: Split, recipe: Recipe, command: str, log: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a bundle says of its training.

    Args:
        windows: The data set.
        split: How its groups were used.
        recipe: Shape and settings.
        command: What was typed.
        log: Of :func:`run_epochs`.
    """
    return {
        "command": command,
        "commit": log["commit"],
        "date": datetime.now(UTC).date().isoformat(),
        "data": windows.name,
        "split": {"train": list(split.train), "val": list(split.val), "test": list(split.test)},
        "recipe": _plain(recipe),
        "seconds": round(sum(epoch["seconds"] for epoch in log["epochs"]), 1),
        "final_loss": log["epochs"][-1]["loss"],
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "accuracy_measured_on": "validation groups",
    }


def _licence(windows: WindowSet) -> str:
    source = windows.meta.get("source", {})
    if not source:
        return "unknown: the data set states no source"
    return "; ".join(str(source[key]) for key in ("licence", "citation") if key in source)
