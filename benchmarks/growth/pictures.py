"""Curves as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.point import Point
from sentryfuse.bench.plot_style import OURS_COLOUR, RIVAL_COLOUR, STYLE

_COLOURS = (OURS_COLOUR, RIVAL_COLOUR)


def draw(points: Sequence[Point], label: str, picture: Path) -> Path:
    """Draw latency, memory, and time to ready or answers per second, over the size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    sizes = [p.size for p in points]
    starts = len({p.ready_s for p in points}) > 1
    with plt.rc_context(STYLE):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
        _latencies(left, points, sizes)
        middle.plot(sizes, [p.loaded_bytes / 1e6 for p in points], "o-", color=OURS_COLOUR)
        middle.set(ylabel="resident memory after load, MB")
        if starts:
            right.plot(sizes, [p.ready_s for p in points], "o-", color=OURS_COLOUR)
            right.set(ylabel="start to ready, s")
        else:
            rates = [p.stretches["all sensors"].rate_hz for p in points]
            right.plot(sizes, rates, "o-", color=OURS_COLOUR)
            right.set(ylabel="answers per second")
        for axes in (left, middle, right):
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
    for colour, name in zip(_COLOURS, points[0].stretches, strict=False):
        found = [p.stretches[name] for p in points]
        axes.plot(sizes, [1e3 * s.p50_s for s in found], "o-", color=colour, label=f"{name}, p50")
        axes.plot(sizes, [1e3 * s.p99_s for s in found], ".:", color=colour, label="p99")
    axes.set_yscale("log")
    axes.set(ylabel="latency, ms")
    axes.legend(frameon=False, fontsize=7)
