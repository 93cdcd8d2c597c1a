"""What does sparse attention cost in accuracy?

On each backbone the same recipe is trained densely and in each sparse form, with several seeds;
weights see the training groups, choices are made on the validation groups, and with --test every
bundle of this call answers the test groups once, through the serving engine. Interrupted runs go
on where they stopped. Run:

    python benchmarks/attend_accuracy.py --data hydraulic.npz --config configs/bench/attend.toml
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from accuracy import Table, recorded
from compared import full_and_one_missing, trained
from numpy.typing import NDArray

from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.learn.settings import Recipe
from sentryfuse.units import Inventory
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.variant import open_session

NEVER = 1 << 30  # tokens
BACKBONES = ("maestro", "flexmoe", "fusemoe")
DENSE, SPARSE = "dense", "shared"
# What each form changes of the backbone.
FORMS: Mapping[str, Mapping[str, int | str]] = {
    DENSE: {"sparse_from": NEVER},
    SPARSE: {"sparse_form": "shared"},
    "shared_fusion": {"sparse_form": "shared", "sparse_from": 100},  # encoders attend densely
    "shared_twice": {"sparse_form": "shared", "sparse_factor": 10},
    "by_head": {"sparse_form": "by_head"},
}
CORE = (DENSE, SPARSE)
BATCH = 8

Model = tuple[str, str, int]  # backbone, form, seed


def recipe_of(model: Model, recipe: Recipe) -> Recipe:
    """The recipe with this backbone, form and seed."""
    kind, form, seed = model
    return replace(
        recipe,
        backbone=replace(recipe.backbone, kind=kind, **FORMS[form]),  # type: ignore[arg-type]
        training=replace(recipe.training, seed=seed),
    )


def validated(path: Path) -> Table:
    """Accuracy on validation groups, as :func:`tested` has it on test groups."""
    bundle = read_bundle(path)
    presences = full_and_one_missing(len(bundle.spec.modalities))
    return {p.hex: list(bundle.accuracy.rows[p.bits]) for p in presences}


def tested(path: Path, windows: WindowSet) -> Table:
    """Accuracy unpruned, with every sensor and with each one missing, by presence."""
    builder = VariantBuilder(read_bundle(path))
    names = builder.bundle.spec.modality_names
    table: Table = {}
    for presence in full_and_one_missing(len(names)):
        inputs = {n: windows.arrays[n].astype(np.float32) for n in presence.names(names)}
        # No card: that would need a whole accuracy table.
        session = open_session(builder.graph(builder.mask(presence, 0.0)), threads=1)
        answers = [
            session.run(None, {n: a[i : i + BATCH] for n, a in inputs.items()})[0].argmax(axis=1)
            for i in range(0, len(windows), BATCH)
        ]
        table[presence.hex] = [float((np.concatenate(answers) == windows.label).mean())]
    return table


def means(tables: Mapping[Model, Table], kind: str, form: str) -> NDArray[np.float64]:
    """Mean over presences, one value for each seed."""
    seeds = sorted(seed for k, f, seed in tables if (k, f) == (kind, form))
    return np.array([np.mean(list(tables[kind, form, seed].values())) for seed in seeds])


def add_accuracies(record: Record, tables: Mapping[Model, Table], kinds: Sequence[str]) -> None:
    """State test accuracy by backbone and form, and what sparse attention changes of it.

    A change is that of a seed and backbone; the figure over all backbones is the mean of theirs.
    """
    by_kind = {kind: {f: means(tables, kind, f) for f in CORE} for kind in kinds}
    for kind, by_form in by_kind.items():
        for form, samples in by_form.items():
            record.add_samples(f"{kind}_{form}", samples, "ratio")
            state(record, f"attend_accuracy_{form}_{kind}", samples)
        state(record, f"attend_accuracy_delta_{kind}", by_form[SPARSE] - by_form[DENSE])
    for kind, form in sorted(
        {model[:2] for model in tables} - {(k, f) for k in kinds for f in CORE}
    ):
        samples = means(tables, kind, form)
        record.add_samples(f"{kind}_{form}", samples, "ratio")
        state(record, f"attend_accuracy_{form}_{kind}", samples)
        state(record, f"attend_accuracy_delta_{form}_{kind}", samples - by_kind[kind][DENSE])
    for form in CORE:
        state(record, f"attend_accuracy_{form}", np.mean([b[form] for b in by_kind.values()], 0))
    deltas = np.array([b[SPARSE] - b[DENSE] for b in by_kind.values()])  # [backbones, seeds]
    own = dict(zip(kinds, deltas.mean(axis=1).tolist(), strict=True))
    state(record, "attend_accuracy_delta", deltas.mean(axis=0), own)


def state(
    record: Record,
    figure: str,
    samples: NDArray[np.float64],
    also: Mapping[str, float] | None = None,
) -> None:
    """Add a mean over seeds, with its spread."""
    mean, deviation = float(samples.mean()), float(samples.std(ddof=len(samples) > 1))
    spread = {"std": deviation, "min": float(samples.min()), "max": float(samples.max())}
    record.add_figure(figure, mean, "ratio", {**spread, "seeds": len(samples), **(also or {})})
    print(figure, f"{mean:+.4f} ± {deviation:.4f}", also or "")


def add_flops(record: Record, bundles: Mapping[Model, Path]) -> None:
    """State each form's FLOPs over the dense one's, every sensor present and nothing pruned."""
    flops = {}
    for (kind, form, _), path in bundles.items():
        spec = read_bundle(path).spec
        inventory = Inventory(spec)
        full = spec.full_presence
        flops[kind, form] = inventory.cost(full, inventory.active(full)).flops
    for kind, form in sorted(flops):
        if form != DENSE:
            ratio = flops[kind, form] / flops[kind, DENSE]
            record.add_figure(f"attend_accuracy_flops_ratio_{form}_{kind}", ratio, "ratio")


def trained_before(runs: Path) -> dict[Model, Path]:
    """Every bundle in the folder, also of other calls, by backbone, form and seed."""
    found = {}
    for path in sorted(runs.glob("*-seed*/bundle")):
        kind, form, seed = path.parent.name.split("-")
        found[kind, form, int(seed.removeprefix("seed"))] = path
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/attend"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=[DENSE, SPARSE])
    parser.add_argument(
        "--also", nargs="*", default=[], metavar="BACKBONE-FORM", help="beside all of the above"
    )
    parser.add_argument("--test", action="store_true", help="once, when nothing is chosen any more")
    args = parser.parse_args()

    recipe, data = Recipe.from_toml(args.config), load_windows(args.data)
    presences = full_and_one_missing(len(data.modalities))
    bundles: dict[Model, Path] = {}
    pairs = [(k, f) for k in args.backbones for f in args.forms]
    pairs += [(k, f) for k, _, f in (also.partition("-") for also in args.also)]
    for model in [(*pair, seed) for seed in args.seeds for pair in pairs]:
        out = args.runs / "{}-{}-seed{}".format(*model)
        bundles[model] = trained(recipe_of(model, recipe), data, out, presences=presences)
        table = list(validated(bundles[model]).values())
        print("validation", *model, f"full {table[0][0]:.4f}, mean {np.mean(table):.4f}")
    if not args.test:
        return
    split = recommended_split(data)
    windows = data.of_groups(split.test)
    tables = {
        model: recorded(args.runs, read_bundle(path).digest, partial(tested, path, windows))
        for model, path in bundles.items()
    }
    record = Record(
        "attend-accuracy",
        "How accurate are models with sparse attention beside dense ones of the same recipe?",
        data=data.name,
        recipe=recipe.to_json(),
        seeds=args.seeds,
        backbones=args.backbones,
        forms=FORMS,
        test_groups=split.test,
        windows=len(windows),
    )
    chosen_on = {model: validated(path) for model, path in trained_before(args.runs).items()}
    for kind, form in sorted({model[:2] for model in chosen_on}):
        state(record, f"attend_validated_{form}_{kind}", means(chosen_on, kind, form))
    record.add("validation", {"-".join(map(str, m)): table for m, table in chosen_on.items()})
    record.add("accuracy", {"-".join(map(str, m)): table for m, table in tables.items()})
    add_accuracies(record, tables, args.backbones)
    add_flops(record, bundles)
    print("wrote", record.save())


if __name__ == "__main__":
    main()
