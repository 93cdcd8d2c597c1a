"""How much smaller and faster is a bundle at no loss of accuracy?

For each bundle, with every sensor present, the largest pruning ratio is taken whose expected
accuracy, by the table from the validation groups, is at most half a point below the unpruned
model's. Then both answer the test groups, and are timed in the serving engine in turns: one
window, one thread. Run:

    python benchmarks/lossless.py --data folder/of/sets models/*/1
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from logits import logits_of

from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.variants import Variant, VariantBuilder

LOSS = 0.005
ROUNDS, CALLS = 60, 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    args = parser.parse_args()

    bundles = [read_bundle(path) for path in args.bundles]
    record = Record(
        "lossless",
        "How much smaller and faster is a bundle at no loss of accuracy?",
        bundles={bundle.spec.task.name: bundle.digest for bundle in bundles},
        allowed_loss=LOSS,
        threads=1,
    )
    found = [measure(bundle, args.data, record) for bundle in bundles]
    names = ("bytes_ratio", "gflops_ratio", "latency_speedup")
    for name, values in zip(names, zip(*found, strict=True), strict=True):
        spread = {"least": min(values), "most": max(values), "bundles": len(values)}
        record.add_figure(f"lossless_{name}", geometric_mean(values), "ratio", spread)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.3f} {figure['spread']}")
    print("wrote", record.save())


def measure(bundle: Bundle, data: Path, record: Record) -> tuple[float, float, float]:
    """Add one bundle's figures; return bytes and FLOPs over unpruned, and how much faster it is."""
    name = bundle.spec.task.name
    builder = VariantBuilder(bundle)
    full = bundle.spec.full_presence
    ratio = largest_ratio(bundle)
    dense, pruned = (builder.build(builder.mask(full, r)) for r in (0.0, ratio))
    windows = load_windows(data / f"{name}.npz")
    windows = windows.of_groups(recommended_split(windows).test)
    change = accuracy(pruned, windows) - accuracy(dense, windows)
    speedups = in_turns(dense, pruned, windows)
    quarters = np.quantile(speedups, [0.25, 0.5, 0.75])
    card = pruned.card
    record.add_samples(f"{name}_speedup", speedups, "ratio")
    record.add_figure(f"lossless_{name}_pruning_ratio", ratio, "ratio")
    record.add_figure(f"lossless_{name}_accuracy_change", change, "ratio", {"test": len(windows)})
    record.add_figure(f"lossless_{name}_bytes_ratio", card.bytes_kept_ratio, "ratio")
    record.add_figure(f"lossless_{name}_gflops_ratio", card.flops_kept_ratio, "ratio")
    spread = {"q25": float(quarters[0]), "q75": float(quarters[2])}
    record.add_figure(f"lossless_{name}_latency_speedup", float(quarters[1]), "ratio", spread)
    return card.bytes_kept_ratio, card.flops_kept_ratio, float(quarters[1])


def largest_ratio(bundle: Bundle) -> float:
    """Return the largest ratio of the table that loses no more than is allowed."""
    table, full = bundle.accuracy, bundle.spec.full_presence
    least = table.expected(full, 0) - LOSS
    return max(p for p in table.permilles if table.expected(full, p) >= least) / 1000


def accuracy(variant: Variant, windows: WindowSet) -> float:
    """Share of windows that a variant with every modality answers rightly."""
    logits = logits_of(variant, windows, tuple(windows.arrays))
    return float((logits.argmax(axis=1) == windows.label).mean())


def in_turns(dense: Variant, pruned: Variant, windows: WindowSet) -> list[float]:
    """Return how many times faster the pruned variant is, round by round."""
    inputs = {n: a[:1].astype(np.float32) for n, a in windows.arrays.items()}
    for variant in (dense, pruned):
        seconds_of(variant, inputs)
    return [seconds_of(dense, inputs) / seconds_of(pruned, inputs) for _ in range(ROUNDS)]


def seconds_of(variant: Variant, inputs: dict[str, np.ndarray]) -> float:
    """Seconds of a few calls."""
    started = time.perf_counter()
    for _ in range(CALLS):
        variant.run(inputs)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
