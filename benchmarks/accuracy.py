"""Accuracy of bundles on test groups they never saw, through the serving engine.

One bundle for each seed of the same recipe; the first is the one that ships. Every presence and
ratio is measured once. Run:

    python benchmarks/accuracy.py --data dsads.npz models/dsads-maestro/1 runs/seed1 runs/seed2
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from logits import logits_of
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.presence import all_presences
from sentryfuse.variants import VariantBuilder

RATIOS = (0.0, 0.25, 0.5, 0.65, 0.8, 0.9)
BATCH = 8


Table = dict[str, list[float]]


def measure(path: Path, windows: WindowSet, threads: int) -> Table:
    """Accuracy by presence (hexadecimal), one value for each of RATIOS."""
    builder = VariantBuilder(read_bundle(path), threads=threads)
    names = builder.bundle.spec.modality_names
    table = {}
    for presence in track(all_presences(len(names)), description=str(path)):
        row = []
        for ratio in RATIOS:
            variant = builder.build(builder.mask(presence, ratio))
            logits = logits_of(variant, windows, tuple(presence.names(names)), batch=BATCH)
            row.append(float((logits.argmax(axis=1) == windows.label).mean()))
        table[presence.hex] = row
    return table


def recorded(folder: Path, digest: str, measured: Callable[[], Table]) -> Table:
    """Measure a bundle once: an interrupted run goes on with the bundles that are left."""
    kept = folder / f"accuracy-{digest[:16]}.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(measured()), encoding="utf-8")
    table: Table = json.loads(kept.read_text(encoding="utf-8"))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where it resumes from")
    args = parser.parse_args()

    data = load_windows(args.data)
    split = recommended_split(data)
    windows = data.of_groups(split.test)
    record = Record(
        "accuracy",
        "How accurate are the bundles on test groups, by presence and pruning ratio?",
        ratios=RATIOS,
        test_groups=split.test,
        windows=len(windows),
    )
    digests = [read_bundle(path).digest for path in args.bundles]
    tables = [
        recorded(args.runs, digest, partial(measure, path, windows, args.threads))
        for path, digest in zip(args.bundles, digests, strict=True)
    ]
    record.add("bundles", digests)
    record.add("accuracy", tables)
    rows = np.array([list(t.values()) for t in tables])  # [seeds, presences, ratios]
    full, mean = rows[:, 0], rows.mean(axis=1)
    deltas = mean - mean[:, :1]
    for name, values in [
        ("accuracy_full", full[:, 0]),
        ("accuracy_mean", mean[:, 0]),
        *((f"accuracy_rho{round(100 * r)}_delta", deltas[:, i]) for i, r in enumerate(RATIOS) if r),
    ]:
        spread = {"mean": float(values.mean()), "std": float(values.std(ddof=len(values) > 1))}
        record.add_figure(name, float(values[0]), "ratio", {**spread, "seeds": len(values)})
        print(f"{name}: shipped {values[0]:.4f}, {spread['mean']:.4f} ± {spread['std']:.4f}")
    present = np.array([bin(int(h, 16)).count("1") for h in tables[0]])
    for count in sorted(set(present), reverse=True):
        by_ratio = rows[:, present == count].mean(axis=(0, 1))
        print(f"{count} present:", " ".join(f"{a:.3f}" for a in by_ratio))
    print("wrote", record.save())


if __name__ == "__main__":
    main()
