"""A few panels as a run showed them, drawn from its record."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtests.prometheus_server import PrometheusServer
from monitoring.boards import BOARDS
from monitoring.panels import Chart, Query, concrete

SHOWN = (
    *("Power against cap", "What the power goes into", "Share of each ratio"),
    *("Inference power", "Where the time goes", "Budgets"),
)
"""Titles of the panels that are drawn."""
_STEP_S = 1
_RATE = "5s"
_COLUMNS = 3
_UNITS = {"watt": "W", "s": "s", "cps": "1/s"}


def read_panels(prometheus: PrometheusServer, from_s: float, to_s: float) -> list[dict[str, Any]]:
    """Read what the panels show over a stretch of time, as plain data for a record."""
    charts = {chart.title: chart for board in BOARDS for chart in board.charts()}
    return [
        {
            "title": title,
            "unit": charts[title].unit,
            "kind": charts[title].kind,
            "lines": dict(_lines(prometheus, charts[title], from_s, to_s)),
        }
        for title in SHOWN
    ]


def draw_panels(record: Path, picture: Path) -> Path:
    """Draw them as Grafana would arrange them.

    Args:
        record: JSON of the ``dashboards`` scenario.
        picture: Where to write; its ending says how (.svg, .png).

    Returns:
        The picture's path.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = json.loads(record.read_text(encoding="utf-8"))["panels"]
    rows = math.ceil(len(panels) / _COLUMNS)
    with plt.rc_context({"svg.hashsalt": "sentryfuse", "font.size": 8, "svg.fonttype": "none"}):
        figure, axes = plt.subplots(
            rows, _COLUMNS, sharex=True, figsize=(11, 2.7 * rows), layout="constrained"
        )
        for panel, place in zip(panels, axes.flat, strict=True):
            _draw(place, panel)
        for place in axes[-1]:
            place.set_xlabel("seconds")
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)
        plt.close(figure)
    return picture


def _lines(
    prometheus: PrometheusServer, chart: Chart, from_s: float, to_s: float
) -> Iterator[tuple[str, list[float | None]]]:
    """Every line of a panel by its legend, one value each second; None where there is none."""
    moments = range(0, int(to_s - from_s), _STEP_S)
    for query in chart.queries:
        found = prometheus.ask(
            "query_range",
            query=concrete(query.expr, _RATE),
            start=f"{from_s:.3f}",
            end=f"{to_s:.3f}",
            step=f"{_STEP_S}s",
        )
        for series in found["result"]:
            values = {round(at_s - from_s): float(value) for at_s, value in series["values"]}
            line = [values.get(moment, math.nan) for moment in moments]
            yield (
                _legend(query, series["metric"]),
                [value if math.isfinite(value) else None for value in line],
            )


def _legend(query: Query, labels: dict[str, str]) -> str:
    named = {**labels, "instance": "node"}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: named.get(found[1], ""), query.legend)


def _draw(axes: Any, panel: dict[str, Any]) -> None:
    lines = {name: [v or 0.0 for v in line] for name, line in panel["lines"].items() if any(line)}
    moments = range(len(next(iter(lines.values()), ())))
    if panel["kind"] == "lines":
        for name, line in lines.items():
            axes.plot(moments, line, label=name)
    else:
        if panel["kind"] == "share":
            sums = [sum(column) or 1.0 for column in zip(*lines.values(), strict=True)]
            lines = {
                name: [100 * value / whole for value, whole in zip(line, sums, strict=True)]
                for name, line in lines.items()
            }
        axes.stackplot(moments, *lines.values(), labels=lines, alpha=0.7)
    unit = "%" if panel["kind"] == "share" else _UNITS[panel["unit"]]
    axes.set_title(f"{panel['title']} [{unit}]", loc="left", fontweight="bold")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, loc="upper left", ncols=2, framealpha=0.6)
