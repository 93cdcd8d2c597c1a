"""How much smaller and faster is the whole system than a conventional dense model, at no loss?

benchmarks/lossless.py compares a bundle with itself, unpruned. Here each bundle is compared with
what one would build without SentryFuse: the same recipe with full multi-head attention (a
key/value head for each query head, dense at any length) and conventional training (no elastic
steps, no gate), the same curriculum and as many epochs, unpruned.

Of both, one model for each seed; the first of ours is the bundle that ships, trained on the same
recipe. The pruning ratio is chosen on validation groups: the largest whose accuracy with every
sensor, mean over seeds, is at most half a point below the dense models'. Then all answer the test
groups once, and the first seeds are timed in the serving engine in turns: one window, one thread.
Without --measure nothing is tested or timed. Interrupted runs go on where they stopped. Run:

    python benchmarks/lossless_dense.py --data folder/of/sets --measure models/*/1
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, geometric_mean, stdev

import numpy as np
from compared import trained
from lossless import LOSS, accuracy, in_turns

from sentryfuse.accuracy import smooth
from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.learn.settings import Recipe
from sentryfuse.learn.train import MEASURED_RATIOS
from sentryfuse.presence import Presence
from sentryfuse.variants import Variant, VariantBuilder

NEVER = 1 << 30  # tokens
NAMES = ("bytes_ratio", "gflops_ratio", "latency_speedup")


@dataclass(frozen=True, slots=True)
class Models:
    """Bundles of one data set, one for each seed; the first are timed."""

    name: str
    ours: tuple[Path, ...]
    dense: tuple[Path, ...]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--configs", type=Path, default=Path("configs"), help="their recipes")
    parser.add_argument("--runs", type=Path, default=Path("runs/lossless"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--shipped-only", nargs="*", default=[], metavar="SET", help="train no more seeds of ours"
    )
    parser.add_argument("--measure", action="store_true", help="once, when all are trained")
    args = parser.parse_args()

    found = [
        models_of(b, args.data, args.configs, args.runs, args.seeds, args.shipped_only)
        for b in args.bundles
    ]
    for models in found:
        print(models.name, chosen_ratio(models))
    if not args.measure:
        return
    record = Record(
        "lossless-dense",
        "How much smaller and faster is the whole system than a conventional dense model?",
        seeds=args.seeds,
        allowed_loss=LOSS,
        threads=1,
        bundles={m.name: [read_bundle(path).digest for path in m.ours] for m in found},
        dense={m.name: [read_bundle(path).digest for path in m.dense] for m in found},
    )
    values = [measure(models, args.data, record) for models in found]
    for name, samples in zip(NAMES, zip(*values, strict=True), strict=True):
        spread = {"least": min(samples), "most": max(samples), "bundles": len(samples)}
        record.add_figure(f"lossless_dense_{name}", geometric_mean(samples), "ratio", spread)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4f} {figure['spread']}")
    print("wrote", record.save())


def models_of(
    shipped: Path,
    data: Path,
    configs: Path,
    runs: Path,
    seeds: Sequence[int],
    shipped_only: Sequence[str],
) -> Models:
    """Train what is not there yet."""
    windows = load_windows(data / f"{read_bundle(shipped).spec.task.name}.npz")
    recipe = Recipe.from_toml(configs / f"{shipped.parent.name}.toml")
    full = [Presence.full(len(windows.modalities))]

    def run(recipe: Recipe, kind: str, seed: int, ratios: Sequence[float]) -> Path:
        recipe = replace(recipe, training=replace(recipe.training, seed=seed))
        out = runs / f"{windows.name}-{kind}-seed{seed}"
        return trained(recipe, windows, out, presences=full, ratios=ratios)

    dense = tuple(run(conventional(recipe), "dense", seed, (0.0,)) for seed in seeds)
    more = [] if windows.name in shipped_only else seeds[1:]
    others = tuple(run(recipe, "ours", seed, MEASURED_RATIOS) for seed in more)
    return Models(windows.name, (shipped, *others), dense)


def conventional(recipe: Recipe) -> Recipe:
    """The same model and curriculum without anything of ours."""
    shape = recipe.backbone
    return replace(
        recipe,
        backbone=replace(shape, num_kv_heads=shape.num_heads, sparse_from=NEVER),
        training=replace(recipe.training, elastic=False, gated=False, teacher="none"),
    )


def validated(path: Path) -> Mapping[int, float]:
    """Accuracy on validation groups with every sensor, by permille."""
    bundle = read_bundle(path)
    row = bundle.accuracy.rows[bundle.spec.full_presence.bits]
    return dict(zip(bundle.accuracy.permilles, row, strict=True))


def chosen_ratio(models: Models) -> float:
    """The largest ratio that costs no more than is allowed; 0 also if every ratio costs more."""
    least = fmean(validated(path)[0] for path in models.dense) - LOSS
    rows = [validated(path) for path in models.ours]
    mean = tuple(fmean(row[p] for row in rows) for p in rows[0])
    falling = smooth({1: mean}, worth_windows=math.inf)[1]  # what it loses it does not win back
    fine = [p for p, accuracy in zip(rows[0], falling, strict=True) if accuracy >= least]
    return max(fine, default=0) / 1000


def measure(models: Models, data: Path, record: Record) -> tuple[float, float, float]:
    """Add one data set's figures; return bytes and FLOPs over dense, and how much faster it is."""
    name, ratio = models.name, chosen_ratio(models)
    windows = load_windows(data / f"{name}.npz")
    windows = windows.of_groups(recommended_split(windows).test)
    dense = [built(path, 0.0) for path in models.dense]
    ours = [built(path, ratio) for path in models.ours]
    accuracies = tested(dense, windows), tested(ours, windows)
    for kind, paths in (("dense", models.dense), ("ours", models.ours)):
        record.add(f"{name}_{kind}_validation", [validated(path) for path in paths])
    for kind, samples in zip(("dense", "ours"), accuracies, strict=True):
        record.add_samples(f"{name}_{kind}_accuracy", samples, "ratio")
        deviation = stdev(samples) if len(samples) > 1 else 0.0
        spread = {"std": deviation, "seeds": len(samples), "test": len(windows)}
        figure = f"lossless_dense_{name}_{kind}_accuracy"
        record.add_figure(figure, fmean(samples), "ratio", spread)
    change = fmean(accuracies[1]) - fmean(accuracies[0])
    speedups = in_turns(dense[0], ours[0], windows)
    quarters = np.quantile(speedups, [0.25, 0.5, 0.75])
    record.add_samples(f"{name}_speedup", speedups, "ratio")
    bytes_ratio = ours[0].card.memory_bytes / dense[0].card.memory_bytes
    gflops_ratio = ours[0].card.flops / dense[0].card.flops
    record.add_figure(f"lossless_dense_{name}_pruning_ratio", ratio, "ratio")
    record.add_figure(f"lossless_dense_{name}_accuracy_change", change, "ratio")
    record.add_figure(f"lossless_dense_{name}_bytes_ratio", bytes_ratio, "ratio")
    record.add_figure(f"lossless_dense_{name}_gflops_ratio", gflops_ratio, "ratio")
    spread = {"q25": float(quarters[0]), "q75": float(quarters[2])}
    speedup = float(quarters[1])
    record.add_figure(f"lossless_dense_{name}_latency_speedup", speedup, "ratio", spread)
    return bytes_ratio, gflops_ratio, speedup


def built(path: Path, ratio: float) -> Variant:
    """The variant with every sensor."""
    builder = VariantBuilder(read_bundle(path))
    return builder.build(builder.mask(builder.bundle.spec.full_presence, ratio))


def tested(variants: Sequence[Variant], windows: WindowSet) -> list[float]:
    """Accuracy of each on the test groups."""
    return [accuracy(variant, windows) for variant in variants]


if __name__ == "__main__":
    main()
