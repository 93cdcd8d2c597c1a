"""What should the gate learn from, and what are elastic steps worth?

The grid's own recipe is trained with each teacher in turn, everything else alike, with every seed
of the grid; the gate then prunes the test groups at the grid's ratios, presence by presence. What
is done is not done again. Run:

    python benchmarks/teachers.py --data folder/of/sets --set hydraulic

And from what should a pruned pass learn: labels, the full pass (distillation), or both?

    python benchmarks/teachers.py --data folder/of/sets --question distillation
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sentryfuse.bench import Record
from sentryfuse.bench.grid.config import GridConfig, read_grid
from sentryfuse.bench.grid.jobs import UNPRUNED, Measurement, Training
from sentryfuse.bench.grid.records import read_record
from sentryfuse.bench.grid.run import Places, do
from sentryfuse.learn.baselines import OURS

# Settings of training by name. The last is the paper's own: no elastic steps.
TEACHERS: Mapping[str, Mapping[str, Any]] = {
    "first_order": {},
    "fisher": {"teacher": "fisher"},
    "pruned_pass": {"teacher": "none"},
    "first_order_only": {"straight_through": False},
    "not_elastic": {"elastic": False},
}
# From labels alone, from the full pass's answers alone, and the default between.
DISTILLATION: Mapping[str, Mapping[str, Any]] = {
    "both": {},
    "labels": {"distil_weight": 0.0},
    "full_pass": {"distil_weight": 1.0},
}
QUESTIONS: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]] = {
    "teachers": ("What should the gate learn from, and what are elastic steps worth?", TEACHERS),
    "distillation": ("What should a pruned pass learn from?", DISTILLATION),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--question", choices=tuple(QUESTIONS), default="teachers")
    parser.add_argument("--set", dest="name", default="hydraulic")
    parser.add_argument("--config", type=Path, default=Path("configs/bench/paper144.toml"))
    parser.add_argument("--backbones", nargs="+", default=["maestro"])
    parser.add_argument("--runs", type=Path, default=Path("runs/teachers"))
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()

    grid = read_grid(args.config)
    question, arms = QUESTIONS[args.question]
    models = [
        Training(args.name, backbone, "sentryfuse", seed)
        for seed, backbone in product(grid.seeds, args.backbones)
    ]
    work = [
        (taught(grid, settings), model, places(args.data, args.runs / name))
        for model in models
        for name, settings in arms.items()
    ]
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(train_and_measure, *zip(*work, strict=True)), start=1):
            print(f"{done} of {len(work)} models trained and measured", flush=True)

    record = Record(
        f"{args.question}-{args.name}",
        question,
        config=args.config.name,
        backbones=args.backbones,
        seeds=grid.seeds,
        teachers={name: dict(settings) for name, settings in arms.items()},
    )
    for name in arms:
        add(record, grid, args.question, name, models, places(args.data, args.runs / name))
    print("wrote", record.save())


def taught(grid: GridConfig, settings: Mapping[str, Any]) -> GridConfig:
    """Return the grid with these settings of training laid over its recipes."""
    of_backbone = {
        backbone: {
            **grid.of_backbone.get(backbone, {}),
            "training": {**grid.of_backbone.get(backbone, {}).get("training", {}), **settings},
        }
        for backbone in grid.backbones
    }
    return replace(grid, of_backbone=of_backbone)


def places(data: Path, folder: Path) -> Places:
    """Where the models and results of one teacher are."""
    return Places(data, folder / "models", folder / "results")


def train_and_measure(grid: GridConfig, model: Training, where: Places) -> None:
    """Do what is not done yet of one model."""
    for job in (model, Measurement(model, UNPRUNED), Measurement(model, OURS)):
        if not where.done(job):
            do(grid, job, where)


def add(
    record: Record,
    grid: GridConfig,
    question: str,
    name: str,
    models: Sequence[Training],
    where: Places,
) -> None:
    """Add accuracy at each ratio, mean over presences and backbones: a sample for each seed."""
    metric = grid.metric_of.get(models[0].data, "accuracy")
    for ratio in (0.0, *grid.all_ratios):
        method = OURS if ratio else UNPRUNED
        by_seed: dict[int, list[float]] = {}
        for model in models:
            rows = read_record(where.record(Measurement(model, method)))["rows"]
            at = [row for row in rows if row["ratio"] == ratio]
            by_seed.setdefault(model.seed, []).append(
                fmean(
                    fmean(row[metric] for row in at if row["missing"] == missing)
                    for missing in grid.missing
                )
            )
        samples = [fmean(scores) for scores in by_seed.values()]
        label = f"{name}_rho{round(1000 * ratio)}"
        record.add_samples(label, samples, "ratio")
        spread = {"std": stdev(samples) if len(samples) > 1 else 0.0, "seeds": len(samples)}
        record.add_figure(f"{question}_{models[0].data}_{label}", fmean(samples), "ratio", spread)
        print(f"{label}: {fmean(samples):.3f} ± {spread['std']:.3f}")


if __name__ == "__main__":
    main()
