"""What is on a dashboard, free of Grafana."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SELECTED = 'job=~"$job",instance=~"$instance"'
"""Matchers of what the viewer has chosen; queries write ``@`` for them."""

Kind = Literal["lines", "stacked", "share", "number"]
"""How a panel is drawn; a share is stacked to 100 %."""


def concrete(expr: str, interval: str = "1m") -> str:
    """Return an expression as Prometheus gets it when everything is chosen.

    Args:
        expr: With Grafana's variables.
        interval: In the place of those that are spans of time.
    """
    for span in ("$__rate_interval", "$__range"):
        expr = expr.replace(span, interval)
    return re.sub(r'"\$\w+"', '".+"', expr)


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and how its series are called."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    """Whether the traces behind it are shown as dots."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "expr", self.expr.replace("@", SELECTED))


@dataclass(frozen=True, slots=True)
class Chart:
    """One panel."""

    title: str
    text: str
    """What it shows and how to read it."""
    unit: str
    """As Grafana calls it."""
    queries: tuple[Query, ...]
    kind: Kind = "lines"
    least: float | None = 0.0
    """Lower end of the scale; None where values may be negative."""
    most: float | None = None
    """Upper end of the scale."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that the viewer may narrow a dashboard to."""

    name: str
    label: str
    metric: str
    """Whose labels are offered, with matchers."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", self.metric.replace("@", SELECTED))


CHOICES = (
    Choice("job", "Job", "sentryfuse_ready"),
    Choice("instance", "Instance", 'sentryfuse_ready{job=~"$job"}'),
)
"""On every dashboard."""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    """Never changes: links and bookmarks hold it."""
    title: str
    text: str
    rows: tuple[Row, ...]
    choices: tuple[Choice, ...] = CHOICES

    def charts(self) -> Iterator[Chart]:
        """Every panel, in order."""
        for row in self.rows:
            yield from row.charts
