"""Accuracy against FLOPs: the ladder of each bundle, on the test groups of its data.

For each number of missing sensors (0, 1, 2, 4 of five) and each pruning ratio of the bundle's own
table: mean over all presences of that size. Two classes are judged by AUROC, more by accuracy.
Every variant answers through the serving engine, once. Run:

    python benchmarks/front.py --data folder/of/sets models/*/1 --baselines dsads=0.911
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from best_dense import auroc
from logits import logits_of
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bench.plot_style import STYLE
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.presence import all_presences
from sentryfuse.variants import Variant, VariantBuilder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MISSING = (0, 1, 2, 4)
COLOURS = ("#0b7a75", "#3f7cac", "#e09f3e", "#d1495b")


@dataclass(frozen=True, slots=True)
class Point:
    """Variants of one ratio and one number of missing sensors, on average."""

    missing: int
    ratio: float
    flops: float
    score: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=[],
        metavar="SET=SCORE",
        help="what the best simple model reaches with all sensors: a line in the picture",
    )
    parser.add_argument("--plot", type=Path, default=Path("docs/figures/front.svg"))
    args = parser.parse_args()

    baselines = {
        name: float(score) for name, _, score in (b.partition("=") for b in args.baselines)
    }
    bundles = [read_bundle(path) for path in args.bundles]
    record = Record(
        "front",
        "How accurate are the variants of each bundle on test groups, against what they cost?",
        bundles={bundle.spec.task.name: bundle.digest for bundle in bundles},
        baselines=baselines,
    )
    fronts = {bundle.spec.task.name: front(bundle, args.data) for bundle in bundles}
    for name, points in fronts.items():
        record.add(
            name,
            [
                {"missing": p.missing, "ratio": p.ratio, "flops": p.flops, "score": p.score}
                for p in points
            ],
        )
        for point in (p for p in points if p.missing == 0 and p.ratio in (0.0, 0.8)):
            label = f"front_{name}_rho{round(100 * point.ratio)}"
            record.add_figure(label, point.score, "ratio", {"flops": point.flops})
            print(f"{label}: {point.score:.3f} at {1e-6 * point.flops:.2f} MFLOPs")
    draw(fronts, {b.spec.task.name: b.spec.num_classes for b in bundles}, baselines, args.plot)
    print("wrote", record.save(), "and", args.plot)


def front(bundle: Bundle, data: Path) -> list[Point]:
    """Measure a bundle's ladder on the test groups of its data."""
    builder = VariantBuilder(bundle)
    windows = load_windows(data / f"{bundle.spec.task.name}.npz")
    windows = windows.of_groups(recommended_split(windows).test)
    points = []
    for missing in track(MISSING, description=bundle.spec.task.name):
        presences = list(all_presences(len(bundle.spec.modalities), missing))
        for ratio in (permille / 1000 for permille in bundle.accuracy.permilles):
            variants = [builder.build(builder.mask(presence, ratio)) for presence in presences]
            points.append(
                Point(
                    missing,
                    ratio,
                    fmean(variant.card.flops for variant in variants),
                    fmean(score(variant, windows, bundle) for variant in variants),
                )
            )
    return points


def score(variant: Variant, windows: WindowSet, bundle: Bundle) -> float:
    """AUROC of two classes, accuracy of more."""
    names = tuple(variant.card.presence.names(bundle.spec.modality_names))
    logits = logits_of(variant, windows, names)
    if logits.shape[1] == 2:
        return auroc(logits[:, 1] - logits[:, 0], windows.label == 1)
    return float((logits.argmax(axis=1) == windows.label).mean())


def draw(
    fronts: Mapping[str, Sequence[Point]],
    classes: Mapping[str, int],
    baselines: Mapping[str, float],
    path: Path,
) -> None:
    """Draw a panel for each data set as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * len(fronts), 3.0), layout="constrained")
        row = figure.subplots(1, len(fronts), squeeze=False)[0].tolist()
        for axes, (name, points) in zip(row, fronts.items(), strict=True):
            _panel(axes, points)
            if name in baselines:
                axes.axhline(baselines[name], color="#777777", linestyle="--", linewidth=1)
            axes.set_title(name, fontsize=9)
            axes.set_ylabel("test AUROC" if classes[name] == 2 else "test accuracy")
        handles, labels = row[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def _panel(axes: Axes, points: Sequence[Point]) -> None:
    for missing, colour in zip(MISSING, COLOURS, strict=True):
        line = [p for p in points if p.missing == missing]
        label = "all sensors" if not missing else f"{missing} missing"
        x, y = [1e-6 * p.flops for p in line], [p.score for p in line]
        axes.plot(x, y, color=colour, label=label, marker=".")
    axes.set_xscale("log")
    axes.set_xlabel("MFLOPs of an answer")


if __name__ == "__main__":
    main()
