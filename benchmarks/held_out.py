"""Accuracy tables of several subjects that a model never saw, none of them a test subject.

A bundle's table is measured on one validation subject, which cannot say how far another subject
would be from it. Here short runs of the shipped recipe are trained on half of the subjects that
training and choice may see, and measured on each subject of the other half. Interrupted runs go
on where they stopped. Used by ``expected_accuracy.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows, save_windows
from sentryfuse.learn.settings import Recipe
from sentryfuse.learn.train import MEASURED_RATIOS, train_bundle
from sentryfuse.presence import all_presences
from sentryfuse.variants import VariantBuilder

EPOCHS = 8
BATCH = 16

SubjectTables = dict[int, dict[int, tuple[float, ...]]]
"""Accuracy by subject, then presence bits: one value for each of MEASURED_RATIOS."""


def held_out_tables(data: Path, config: Path, folder: Path) -> list[SubjectTables]:
    """Train and measure both folds; what ``folder`` already holds is not done again."""
    windows = load_windows(data)
    split = recommended_split(windows)
    seen = sorted({*split.train, *split.val})
    halves = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    recipe = Recipe.from_toml(config)
    recipe = replace(recipe, training=replace(recipe.training, epochs=EPOCHS))
    return [
        _fold(windows, train, held_out, recipe, folder / f"fold{i}")
        for i, (train, held_out) in enumerate([halves, halves[::-1]])
    ]


def _fold(
    windows: WindowSet, train: Sequence[int], held_out: Sequence[int], recipe: Recipe, folder: Path
) -> SubjectTables:
    kept = folder / "tables.json"
    if not kept.exists():
        # A split needs three parts; all that is held out is measured below, none is chosen on.
        split = {"train": list(train), "val": list(held_out[:1]), "test": list(held_out[1:])}
        own = windows.of_groups((*train, *held_out))
        own = replace(own, meta={**own.meta, "recommended_split": split})
        save_windows(own, folder / "windows.npz")
        train_bundle(
            folder / "windows.npz",
            folder / "bundle",
            recipe,
            run_dir=folder / "run",
            resume=True,
            on_progress=lambda p: print(p.phase, p.done, p.total, p.message, flush=True),
        )
        tables = _measure(folder / "bundle", own.of_groups(tuple(held_out)))
        kept.write_text(json.dumps(tables), encoding="utf-8")
    tables = json.loads(kept.read_text(encoding="utf-8"))
    return {
        int(subject): {int(bits): tuple(row) for bits, row in table.items()}
        for subject, table in tables.items()
    }


def _measure(bundle: Path, windows: WindowSet) -> dict[int, dict[int, list[float]]]:
    builder = VariantBuilder(read_bundle(bundle))
    names = builder.bundle.spec.modality_names
    subjects = [int(s) for s in np.unique(windows.group)]
    tables: dict[int, dict[int, list[float]]] = {s: {} for s in subjects}
    for presence in track(all_presences(len(names)), description=str(bundle)):
        inputs = {n: windows.arrays[n].astype(np.float32) for n in presence.names(names)}
        for ratio in MEASURED_RATIOS:
            variant = builder.build(builder.mask(presence, ratio))
            answers = [
                variant.run({n: a[i : i + BATCH] for n, a in inputs.items()}).argmax(axis=1)
                for i in range(0, len(windows), BATCH)
            ]
            hit = np.concatenate(answers) == windows.label
            for subject in subjects:
                accuracy = float(hit[windows.group == subject].mean())
                tables[subject].setdefault(presence.bits, []).append(accuracy)
    return tables
