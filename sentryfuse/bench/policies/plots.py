"""Pictures of a study: accuracy by trace, accuracy against attainment, a burst as it was served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentryfuse.bench.plot_style import OURS_COLOUR, RIVAL_COLOUR, STYLE
from sentryfuse.bench.policies.figures import bound_by_trace, effective_by_trace, pool
from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.rivals import OURS, contender
from sentryfuse.bench.policies.study import Results, Study
from sentryfuse.bench.policies.world import Decision, simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BURST_S = 0.6


def draw(study: Study, node: Node, results: Results, folder: Path) -> list[Path]:
    """Draw all pictures as SVG and return their paths."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Callable[[], Figure]] = {
        "policies-by-trace": lambda: by_trace(study, results),
        "policies-front": lambda: front(study, results),
    }
    if "bursts-8" in study.scenes:
        pictures["policies-burst"] = lambda: burst(study, node)
    paths = []
    with mpl.rc_context(STYLE):
        for name, picture in pictures.items():
            path = folder / f"{name}.svg"
            picture().savefig(path, metadata={"Date": None}, bbox_inches="tight")
            paths.append(path)
    return paths


def by_trace(study: Study, results: Results) -> Figure:
    """Effective accuracy of every policy on every trace, as a share of the oracle's bound."""
    from matplotlib.figure import Figure as NewFigure

    bounds = bound_by_trace(results.bounds)
    values = {p: effective_by_trace(results.scores, p) for p in study.policies}
    order = sorted(study.policies, key=lambda p: sum(values[p].values()))
    traces = list(study.scenes)
    share = np.array([[values[p][t] / bounds[t] for t in traces] for p in order])
    figure = NewFigure(figsize=(8.5, 0.32 * len(order) + 1.4))
    axes = figure.subplots()
    axes.grid(visible=False)
    image = axes.imshow(share, aspect="auto", cmap="viridis", vmin=0.6, vmax=1.0)
    axes.set_xticks(range(len(traces)), traces, rotation=30, ha="right")
    axes.set_yticks(range(len(order)), order)
    for (row, column), value in np.ndenumerate(share):
        colour = "white" if value < 0.85 else "black"
        axes.text(
            column, row, f"{100 * value:.1f}", ha="center", va="center", color=colour, fontsize=8
        )
    axes.set_title("Effective accuracy, % of the oracle's bound")
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def front(study: Study, results: Results) -> Figure:
    """Serving accuracy against misses, all traces and seeds pooled."""
    from matplotlib.figure import Figure as NewFigure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = NewFigure(figsize=(6.5, 4.2))
    axes = figure.subplots()
    labels: dict[tuple[float, float], list[str]] = defaultdict(list)
    for policy in study.policies:
        point = pool(policy, results.scores)
        misses = 100 * max(point.misses, 0.5) / point.requests
        labels[round(misses, 3), round(100 * point.serving_accuracy, 2)].append(policy)
    for place, policies in labels.items():
        ours = OURS in policies
        fixed = all(policy.startswith("fixed-") for policy in policies)
        colour = OURS_COLOUR if ours else "#888888" if fixed else RIVAL_COLOUR
        axes.scatter(*place, s=90 if ours else 40, color=colour, zorder=3)
        axes.annotate(
            ", ".join(policies),
            place,
            xytext=(3, 5),
            textcoords="offset points",
            rotation=30,
            fontsize=8,
            color=colour,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(0.15)
    axes.invert_xaxis()
    axes.set_xlabel("requests not answered in time, % (fewer to the right)")
    axes.set_ylabel("expected accuracy of answers in time, %")
    axes.set_title("All traces and seeds pooled: better is up and to the right")
    return figure


def burst(study: Study, node: Node, rival: str = "slackfit") -> Figure:
    """The busiest moments of a bursty trace: the queue and the ratios that were chosen."""
    from matplotlib.figure import Figure as NewFigure

    trace = study.trace(node, "bursts-8", study.seeds[0])
    times = np.array([a.at_s for a in trace.arrivals])
    starts = np.arange(0.0, max(trace.duration_s - _BURST_S, 0.0) + 1e-9, 0.05)
    inside = [((times >= s) & (times < s + _BURST_S)).sum() for s in starts]
    start_s = float(starts[int(np.argmax(inside))])
    figure = NewFigure(figsize=(8.5, 5.2))
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.2, 1.6])
    bin_s = 0.01
    edges = np.arange(start_s, start_s + _BURST_S + bin_s, bin_s)
    counts, _ = np.histogram(times, edges)
    panels[0].stairs(counts / bin_s, edges - start_s, fill=True, color="#bbbbbb")
    panels[0].set_ylabel("requests/s")
    for name, colour in ((OURS, OURS_COLOUR), (rival, RIVAL_COLOUR)):
        chosen = contender(name)
        run = simulate(node, trace, chosen.policy, estimator=chosen.estimator)
        shown = [d for d in run.dispatches if start_s <= d.at_s < start_s + _BURST_S]
        at_s = [d.at_s - start_s for d in shown]
        waiting = [d.waiting for d in shown]
        panels[1].step(at_s, waiting, where="post", color=colour, label=name, lw=1)
        panels[2].stairs(_mean_ratio(shown, edges), edges - start_s, color=colour, baseline=None)
    panels[1].set_ylabel("waiting")
    panels[1].legend(loc="upper right", fontsize=8)
    panels[2].set_ylabel("pruning ratio,\nmean over requests")
    panels[2].set_ylim(1, 0)
    panels[2].set_xlabel("seconds")
    panels[0].set_title(f"The busiest {_BURST_S:g} s of bursts-8: {OURS} and {rival}")
    return figure


def _mean_ratio(decisions: Sequence[Decision], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean pruning ratio of the requests that were dispatched between two edges; NaN for none."""
    at_s = [d.at_s for d in decisions]
    requests, _ = np.histogram(at_s, edges, weights=[d.requests for d in decisions])
    ratios, _ = np.histogram(at_s, edges, weights=[d.requests * d.permille for d in decisions])
    mean: NDArray[np.float64] = np.divide(
        ratios / 1000, requests, out=np.full(len(requests), np.nan), where=requests > 0
    )
    return mean
