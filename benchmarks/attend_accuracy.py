"""What does sparse attention cost in accuracy?

The same recipe is trained densely and in each sparse form, with several seeds; weights see the
training groups, choices are made on the validation groups, and with --test every bundle
answers the test groups once, through the serving engine. Interrupted runs go on where they
stopped. Run:

    python benchmarks/attend_accuracy.py --data hydraulic.npz --config configs/bench/attend.toml
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from accuracy import recorded

from sentryfuse.accuracy import AccuracyTable
from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle, write_bundle
from sentryfuse.data.normalise import fit_normalisation
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.gate import Gate
from sentryfuse.learn.evaluate import accuracy_table
from sentryfuse.learn.loop import Trainer
from sentryfuse.learn.settings import Recipe
from sentryfuse.learn.train import model_spec, run_epochs
from sentryfuse.presence import Presence, all_presences
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.variant import open_session

NEVER = 1 << 30  # tokens
DENSE, SPARSE = "dense", "shared"
FORMS: Mapping[str, Mapping[str, int | str]] = {
    DENSE: {"sparse_from": NEVER},
    SPARSE: {"sparse_form": "shared"},
    "shared_twice": {"sparse_form": "shared", "sparse_factor": 10},
    "by_head": {"sparse_form": "by_head"},
}
RATIOS = (0.0,)  # forms are compared unpruned
BATCH = 8

Table = dict[str, list[float]]


def trained(form: str, seed: int, recipe: Recipe, windows: WindowSet, runs: Path) -> Path:
    """Train one bundle, unless it is there."""
    out = runs / f"{recipe.backbone.kind}-{form}-seed{seed}"
    if (out / "bundle" / "manifest.json").exists():
        return out / "bundle"
    recipe = replace(
        recipe,
        backbone=replace(recipe.backbone, **FORMS[form]),  # type: ignore[arg-type]
        training=replace(recipe.training, seed=seed),
    )
    split = recommended_split(windows)
    train = windows.of_groups(split.train)
    normalisation = fit_normalisation(train)
    trainer = Trainer(model_spec(windows, recipe), recipe.training, train, normalisation)
    run_epochs(
        trainer,
        recipe,
        out / "run",
        resume=True,
        on_progress=lambda p: print(form, seed, p.done, p.message, flush=True),
    )
    backbone, gate = trainer.averaged.backbone, trainer.averaged.gate.to_arrays()
    full = Presence.full(len(windows.modalities))
    table = accuracy_table(
        backbone,
        Gate.from_arrays(gate).scores,
        windows.of_groups(split.val),
        normalisation,
        [full],
        RATIOS,
    )
    bundle = Bundle(
        spec=backbone.spec,
        normalisation=normalisation,
        weights={name: w.numpy() for name, w in backbone.state_dict().items()},
        gate_arrays=gate,
        simulator_arrays={},
        accuracy=AccuracyTable(tuple(round(1000 * r) for r in RATIOS), table),
        licence=str(windows.meta.get("source", {}).get("licence", "unknown")),
        training={"recipe": json.loads(json.dumps(recipe.to_json()))},
    )
    write_bundle(bundle, out / "bundle")
    return out / "bundle"


def validated(path: Path) -> list[float]:
    """Accuracy on validation groups with every sensor, one value for each of RATIOS."""
    bundle = read_bundle(path)
    return list(bundle.accuracy.rows[bundle.spec.full_presence.bits])


def tested(path: Path, windows: WindowSet) -> Table:
    """Accuracy with every sensor and with each one missing, by presence; a value for each ratio."""
    builder = VariantBuilder(read_bundle(path))
    names = builder.bundle.spec.modality_names
    table: Table = {}
    for presence in (*all_presences(len(names), 0), *all_presences(len(names), 1)):
        inputs = {n: windows.arrays[n].astype(np.float32) for n in presence.names(names)}
        table[presence.hex] = []
        for ratio in RATIOS:
            session = open_session(builder.graph(builder.mask(presence, ratio)), threads=1)
            answers = [
                session.run(None, {n: a[i : i + BATCH] for n, a in inputs.items()})[0].argmax(
                    axis=1
                )
                for i in range(0, len(windows), BATCH)
            ]
            table[presence.hex].append(float((np.concatenate(answers) == windows.label).mean()))
    return table


def add_accuracies(
    record: Record, tables: Mapping[str, Sequence[Mapping[str, list[float]]]]
) -> None:
    """State test accuracy by form, and what sparse attention changes of it, seed by seed."""
    by_form = {
        form: np.array([list(t.values()) for t in seeds]) for form, seeds in tables.items()
    }  # [seeds, presences, ratios]
    for form, rows in by_form.items():
        for name, values in (("full", rows[:, 0]), ("mean", rows.mean(axis=1))):
            for samples, ratio in zip(values.T, RATIOS, strict=True):
                record.add_samples(f"{form}_{name}_rho{round(100 * ratio)}", samples, "ratio")
    deltas = by_form[SPARSE] - by_form[DENSE]
    for figure, samples in [
        ("attend_accuracy_dense", by_form[DENSE].mean(axis=1)[:, 0]),
        ("attend_accuracy_shared", by_form[SPARSE].mean(axis=1)[:, 0]),
        ("attend_accuracy_delta", deltas.mean(axis=1)[:, 0]),
        ("attend_accuracy_delta_full", deltas[:, 0, 0]),
    ]:
        deviation = float(samples.std(ddof=len(samples) > 1))
        spread = {"std": deviation, "min": float(samples.min()), "max": float(samples.max())}
        record.add_figure(figure, float(samples.mean()), "ratio", {**spread, "seeds": len(samples)})
        print(figure, f"{samples.mean():+.4f} ± {deviation:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/attend"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=[DENSE, SPARSE])
    parser.add_argument("--test", action="store_true", help="once, when nothing is chosen any more")
    args = parser.parse_args()

    recipe, data = Recipe.from_toml(args.config), load_windows(args.data)
    bundles: dict[str, list[Path]] = {form: [] for form in args.forms}
    for seed in args.seeds:
        for form in args.forms:
            bundles[form].append(trained(form, seed, recipe, data, args.runs))
            print("validation", form, seed, validated(bundles[form][-1]), flush=True)
    if not args.test:
        return
    split = recommended_split(data)
    windows = data.of_groups(split.test)
    tables = {
        form: [
            recorded(args.runs, read_bundle(path).digest, partial(tested, path, windows))
            for path in paths
        ]
        for form, paths in bundles.items()
    }
    record = Record(
        "attend-accuracy",
        "How accurate are models with sparse attention beside dense ones of the same recipe?",
        data=data.name,
        recipe=recipe.to_json(),
        seeds=args.seeds,
        forms=FORMS,
        ratios=RATIOS,
        test_groups=split.test,
        windows=len(windows),
    )
    record.add("validation", {f: [validated(p) for p in ps] for f, ps in bundles.items()})
    record.add("accuracy", tables)
    add_accuracies(record, tables)
    print("wrote", record.save())


if __name__ == "__main__":
    main()
