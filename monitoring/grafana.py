"""Dashboards in the form that Grafana reads."""

from __future__ import annotations

import itertools
import json

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.panels import Board, Chart, Choice, Query

TAG = "sentryfuse"
_SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
_ALL = dashboard.VariableOption(selected=True, text="All", value="$__all")
_STACKING = {"stacked": common.StackingMode.NORMAL, "share": common.StackingMode.PERCENT}
_WIDTH = {"number": 4}
_HEIGHT = {"number": 4}


def to_json(board: Board) -> str:
    """Write a dashboard as a file that Grafana can be provisioned with."""
    built = (
        build.Dashboard(board.title)
        .uid(board.uid)
        .description(board.text)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("10s")
        .link(_to_the_others())
        .with_variable(
            build.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    for choice in board.choices:
        built.with_variable(_variable(choice))
    numbers = itertools.count(1)
    for row in board.rows:
        built.with_row(build.Row(row.title).id(next(numbers)))
        for chart in row.charts:
            built.with_panel(_panel(chart).id(next(numbers)))
    content = json.loads(json.dumps(built.build(), cls=JSONEncoder))
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _to_the_others() -> build.DashboardLink:
    return (
        build.DashboardLink("SentryFuse")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


def _variable(choice: Choice) -> build.QueryVariable:
    return (
        build.QueryVariable(choice.name)
        .label(choice.label)
        .datasource(_SOURCE)
        .query(f"label_values({choice.metric}, {choice.name})")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NUMERICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(_ALL)
    )


def _panel(chart: Chart) -> stat.Panel | timeseries.Panel:
    panel = _number() if chart.kind == "number" else _lines(chart)
    panel.title(chart.title).description(chart.text).unit(chart.unit).datasource(_SOURCE)
    panel.span(_WIDTH.get(chart.kind, 8)).height(_HEIGHT.get(chart.kind, 8))
    if chart.least is not None:
        panel.min(chart.least)
    if chart.most is not None:
        panel.max(chart.most)
    for number, query in enumerate(chart.queries):
        panel.with_target(_target(query, chr(ord("A") + number), at_once=chart.kind == "number"))
    return panel


def _number() -> stat.Panel:
    last = common_builder.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    return (
        stat.Panel()
        .reduce_options(last)
        .color_mode(common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.NONE)
    )


def _lines(chart: Chart) -> timeseries.Panel:
    legend = (
        common_builder.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs([])
    )
    tooltip = (
        common_builder.VizTooltipOptions()
        .mode(common.TooltipDisplayMode.MULTI)
        .sort(common.SortOrder.DESCENDING)
    )
    panel = timeseries.Panel().legend(legend).tooltip(tooltip).line_width(1)
    panel.show_points(common.VisibilityMode.NEVER)
    if chart.kind in _STACKING:
        panel.fill_opacity(40)
        panel.stacking(common_builder.StackingConfig().mode(_STACKING[chart.kind]).group("A"))
    return panel


def _target(query: Query, name: str, *, at_once: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(name).legend_format(query.legend)
    target.format(PromQueryFormat.TIME_SERIES)
    if at_once:
        return target.instant()
    return target.range().exemplar(query.exemplars)
