"""A picture of the study: FLOPs and time against tokens, form by form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sentryfuse.bench.attend.measure import BY_HEAD, DENSE, FUSED, GROUPED, OURS
from sentryfuse.bench.attend.report import Study
from sentryfuse.bench.plot_style import OURS_COLOUR, RIVAL_COLOUR, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = {
    DENSE: ("dense, 8 key/value heads", "#777777", "-"),
    GROUPED: ("dense, 2 key/value heads", "#777777", "--"),
    FUSED: ("the same, fused kernel", "#777777", ":"),
    BY_HEAD: ("sparse, each head chooses", RIVAL_COLOUR, "-"),
    OURS: ("sparse, one choice for all heads", OURS_COLOUR, "-"),
}


def draw(study: Study, folder: Path) -> Path:
    """Draw each backbone's FLOPs and times as SVG and return its path."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "attend.svg"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.6 * len(study.backbones)))
        rows = figure.subplots(len(study.backbones), 3, squeeze=False, sharex=True)
        for row, backbone in zip(rows, study.backbones, strict=True):
            _panels(row.tolist(), study, backbone)
        for column, title in enumerate(("GFLOPs", "ms, batch 1", "ms a window, batch 8")):
            rows[0][column].set_title(title)
            rows[-1][column].set_xlabel("tokens in the fusion")
        handles, labels = rows[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.tight_layout(rect=(0, 0.07, 1, 1))
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    return path


def _panels(row: list[Axes], study: Study, backbone: str) -> None:
    for form, (label, colour, style) in _LINES.items():
        points = [study.point(backbone, form, tokens) for tokens in study.tokens]
        by_panel = [
            [1e-9 * p.flops for p in points],
            [1e3 * float(np.median(p.seconds[1])) for p in points],
            [1e3 * float(np.median(p.seconds[8])) / 8 for p in points],
        ]
        for axes, values in zip(row, by_panel, strict=True):
            axes.plot(study.tokens, values, style, color=colour, label=label, marker=".")
    for axes in row:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(study.tokens, [str(t) for t in study.tokens])
        axes.minorticks_off()
    row[0].set_ylabel(backbone)
