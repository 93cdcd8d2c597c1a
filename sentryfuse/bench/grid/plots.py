"""Pictures of a grid: accuracy against the pruning ratio and against missing modalities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sentryfuse.bench.grid.cells import Cells, Comparison, Place
from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.plot_style import OURS_COLOUR, STYLE
from sentryfuse.learn.baselines import OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(config: GridConfig, cells: Cells, folder: Path) -> list[Path]:
    """Draw all pictures as SVG and return their paths."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(STYLE):
        for comparison in ("a", "b"):
            for name, picture in (("ratio", by_ratio), ("missing", by_missing)):
                path = folder / f"{config.name}-{comparison}-by-{name}.svg"
                figure = picture(config, cells, "a" if comparison == "a" else "b")
                figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
                paths.append(path)
    return paths


def by_ratio(config: GridConfig, cells: Cells, comparison: Comparison) -> Figure:
    """Accuracy against the pruning ratio, a panel for each data set and backbone."""
    ratios = config.all_ratios

    def where(data: str, backbone: str, ratio: float) -> list[Place]:
        return [Place(data, backbone, ratio, missing) for missing in config.missing]

    return _panels(config, cells, comparison, ratios, where, "pruning ratio")


def by_missing(config: GridConfig, cells: Cells, comparison: Comparison) -> Figure:
    """Accuracy against the number of missing modalities, mean over the ratios of the grid."""

    def where(data: str, backbone: str, missing: float) -> list[Place]:
        return [Place(data, backbone, ratio, round(missing)) for ratio in config.ratios]

    return _panels(config, cells, comparison, config.missing, where, "missing modalities")


def _panels(
    config: GridConfig,
    cells: Cells,
    comparison: Comparison,
    steps: Sequence[float],
    where: Callable[[str, str, float], list[Place]],
    label: str,
) -> Figure:
    from matplotlib.figure import Figure as NewFigure

    shown = [data for data in config.data if cells.has(data)] or config.data
    rows, columns = len(shown), len(config.backbones)
    figure = NewFigure(figsize=(3.1 * columns, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row", sharex=True)
    for row, data in enumerate(shown):
        for column, backbone in enumerate(config.backbones):
            panel = axes[row][column]
            for method in (*(m for m in config.methods if m != OURS), OURS):
                spots = [where(data, backbone, step) for step in steps]
                _line(panel, cells, comparison, method, steps, spots)
            panel.set_title(f"{data}, {backbone}", fontsize=9)
    for panel in axes[-1]:
        panel.set_xlabel(label)
    for panel in axes[:, 0]:
        panel.set_ylabel("test accuracy")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return figure


def _line(
    panel: Axes,
    cells: Cells,
    comparison: Comparison,
    method: str,
    steps: Sequence[float],
    spots: Sequence[Sequence[Place]],
) -> None:
    """Mean over seeds as a line, deviation as a band."""
    ours = method == OURS
    drawn, means, deviations = [], [], []
    for step, spot in zip(steps, spots, strict=True):
        by_seed: dict[int, list[float]] = {}
        for place in spot:
            for seed, score in cells.seeds(place, method, comparison).items():
                by_seed.setdefault(seed, []).append(score)
        if by_seed:
            seeds = [float(np.mean(scores)) for scores in by_seed.values()]
            drawn.append(step)
            means.append(float(np.mean(seeds)))
            deviations.append(float(np.std(seeds)))
    if not drawn:
        return
    (line,) = panel.plot(drawn, means, label=method, linewidth=1.1, marker=".")
    if ours:
        line.set(color=OURS_COLOUR, linewidth=2.2)
    low, high = np.subtract(means, deviations), np.add(means, deviations)
    panel.fill_between(drawn, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
