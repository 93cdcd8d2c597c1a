"""What does sparse attention cost in accuracy?

The same recipe is trained densely and in each sparse form, with several seeds; gate and weights
see the training groups, choices are made on the validation groups, and with --test every bundle
answers the test groups once, through the serving engine. Interrupted runs go on where they
stopped. Run:

    python benchmarks/attend_accuracy.py --data hydraulic.npz --config configs/bench/attend.toml
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from accuracy import RATIOS, measure, recorded
from numpy.typing import NDArray

from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import load_windows
from sentryfuse.learn.settings import Recipe
from sentryfuse.learn.train import train_bundle
from sentryfuse.presence import all_presences

NEVER = 1 << 30  # tokens
DENSE, SPARSE = "dense", "shared"
FORMS: Mapping[str, Mapping[str, int | str]] = {
    DENSE: {"sparse_from": NEVER},
    SPARSE: {"sparse_form": "shared"},
    "by_head": {"sparse_form": "by_head"},
}
SHOWN_RATIOS = (0.0, 0.5, 0.8)


def trained(form: str, seed: int, recipe: Recipe, data: Path, runs: Path) -> Path:
    """Train one bundle, unless it is there."""
    out = runs / f"{recipe.backbone.kind}-{form}-seed{seed}"
    if not (out / "bundle" / "manifest.json").exists():
        recipe = replace(
            recipe,
            backbone=replace(recipe.backbone, **FORMS[form]),  # type: ignore[arg-type]
            training=replace(recipe.training, seed=seed),
        )
        train_bundle(
            data,
            out / "bundle",
            recipe,
            run_dir=out / "run",
            resume=True,
            on_progress=lambda p: print(form, seed, p.phase, p.done, p.message, flush=True),
        )
    return out / "bundle"


def validated(bundle: Path) -> NDArray[np.float64]:
    """Accuracy on validation groups: all sensors, then the mean over presences, by ratio."""
    read = read_bundle(bundle)
    presences = all_presences(len(read.spec.modalities))
    table = [[read.accuracy.expected(p, round(1000 * r)) for r in SHOWN_RATIOS] for p in presences]
    return np.array([table[0], np.mean(table, axis=0)])


def add_accuracies(
    record: Record, tables: Mapping[str, Sequence[Mapping[str, list[float]]]]
) -> None:
    """State test accuracy by form, and what sparse attention adds to it, seed by seed."""
    by_form = {
        form: np.array([list(t.values()) for t in seeds]) for form, seeds in tables.items()
    }  # [seeds, presences, ratios]
    for form, rows in by_form.items():
        for name, values in [("full", rows[:, 0]), ("mean", rows.mean(axis=1))]:
            for ratio in SHOWN_RATIOS:
                samples = values[:, RATIOS.index(ratio)]
                record.add_samples(f"{form}_{name}_rho{round(100 * ratio)}", samples, "ratio")
                print(f"{form} {name} at {ratio}: {samples.mean():.4f} ± {_deviation(samples):.4f}")
    for form in by_form.keys() - {DENSE}:
        deltas = by_form[form] - by_form[DENSE]
        for name, values in [("full", deltas[:, 0]), ("mean", deltas.mean(axis=1))]:
            for ratio in SHOWN_RATIOS:
                samples = values[:, RATIOS.index(ratio)]
                record.add_samples(f"delta_{form}_{name}_rho{round(100 * ratio)}", samples, "ratio")
    deltas = by_form[SPARSE] - by_form[DENSE]
    for figure, samples in [
        ("attend_accuracy_delta", deltas.mean(axis=1)[:, 0]),
        ("attend_accuracy_delta_full", deltas[:, 0, 0]),
        ("attend_accuracy_delta_rho80", deltas.mean(axis=1)[:, RATIOS.index(0.8)]),
    ]:
        spread = {"std": _deviation(samples), "seeds": len(samples)}
        record.add_figure(figure, float(samples.mean()), "ratio", spread)
        print(figure, f"{samples.mean():+.4f} ± {spread['std']:.4f}")


def _deviation(samples: NDArray[np.float64]) -> float:
    return float(samples.std(ddof=len(samples) > 1))


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

    recipe = Recipe.from_toml(args.config)
    bundles: dict[str, list[Path]] = {form: [] for form in args.forms}
    for seed in args.seeds:
        for form in args.forms:
            bundles[form].append(trained(form, seed, recipe, args.data, args.runs))
            full, mean = validated(bundles[form][-1])
            print(
                "validation", form, seed, "full", full.round(4), "mean", mean.round(4), flush=True
            )
    if not args.test:
        return
    data = load_windows(args.data)
    split = recommended_split(data)
    windows = data.of_groups(split.test)
    tables = {
        form: [
            recorded(args.runs, read_bundle(path).digest, partial(measure, path, windows, 1))
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
    record.add("validation", {f: [validated(p).tolist() for p in ps] for f, ps in bundles.items()})
    record.add("accuracy", tables)
    add_accuracies(record, tables)
    print("wrote", record.save())


if __name__ == "__main__":
    main()
