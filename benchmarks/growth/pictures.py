"""Curves as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.dimensions import DROPPING, STRICT, WHOLE
from benchmarks.growth.point import Point
from sentryfuse.bench.plot_style import OURS_COLOUR, RIVAL_COLOUR, STYLE

_COLOURS = {WHOLE: OURS_COLOUR, DROPPING: RIVAL_COLOUR}


def draw(points: Sequence[Point], label: str, picture: Path) -> Path:
    """Draw latency, memory, and time to ready or answers per second, over the size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    sizes = [p.size for p in points]
    strict = STRICT in points[0].stretches
    starts = len({p.ready_s for p in points}) > 1
    with plt.rc_context(STYLE):
        panels = 4 if strict else 3
        figure, (left, middle, right, *more) = plt.subplots(
            1, panels, figsize=(3.2 * panels, 3), layout="constrained"
        )
        _latencies(left, points, sizes)
        for axes in more:
            found = [p.stretches[STRICT] for p in points]
            axes.plot(sizes, [s.in_time / s.sent for s in found], "o-", color=OURS_COLOUR)
            axes.set(ylabel="in time of strict requests, 50 ms", ylim=(0, 1.05))
        middle.plot(sizes, [p.loaded_bytes / 1e6 for p in points], "o-", color=OURS_COLOUR)
        middle.set(ylabel="resident memory after load, MB")
        if starts:
            right.plot(sizes, [p.ready_s for p in points], "o-", color=OURS_COLOUR)
            right.set(ylabel="start to ready, s")
        else:
            rates = [p.stretches[WHOLE].rate_hz for p in points]
            right.plot(sizes, rates, "o-", color=OURS_COLOUR)
            right.set(ylabel="answers per second")
        for axes in (left, middle, right, *more):
            axes.set(xlabel=label)
            if sizes[-1] / sizes[0] > 20:
                axes.set_xscale("log")
        middle.set_ylim(bottom=0)
        right.set_ylim(bottom=0)
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)
        plt.close(figure)
    return picture


def _latencies(axes: Any, points: Sequence[Point], sizes: Sequence[float]) -> None:
    for name, colour in _COLOURS.items():
        if name not in points[0].stretches:
            continue
        found = [p.stretches[name] for p in points]
        axes.plot(sizes, [1e3 * s.p50_s for s in found], "o-", color=colour, label=f"{name}, p50")
        axes.plot(sizes, [1e3 * s.p99_s for s in found], ".:", color=colour, label="p99")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set(ylabel="latency, ms", ylim=(low, high * (high / low) ** 0.4))  # room for the legend
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.legend(frameon=False, fontsize=7, loc="upper left", ncols=2)
