"""Every dashboard keeps the rules that Grafana's own linter has, and a few of ours."""

from __future__ import annotations

import json
import re
from typing import Any

import promql_parser
import pytest
from promql_parser import Call, Expr, MatrixSelector, VectorSelector

from monitoring.boards import BOARDS
from monitoring.grafana import to_json
from monitoring.panels import Board

CONTENT: dict[str, dict[str, Any]] = {board.uid: json.loads(to_json(board)) for board in BOARDS}
PANELS = [
    pytest.param(panel, id=f"{uid}-{panel['title']}")
    for uid, content in CONTENT.items()
    for panel in content["panels"]
    if panel["type"] != "row"
]
EXPRESSIONS = [
    pytest.param(query.expr, id=f"{board.uid}-{chart.title}-{number}")
    for board in BOARDS
    for chart in board.charts()
    for number, query in enumerate(chart.queries)
]


def parsed(expr: str) -> Expr:
    """Read an expression; variables of Grafana's in durations are no PromQL."""
    durations = expr.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return promql_parser.parse(durations)


def found(expr: Expr, kind: type) -> list[Any]:
    """Every part of an expression of this kind."""
    parts: list[Any] = []

    def visit(part: Expr) -> None:
        if isinstance(part, kind):
            parts.append(part)

    promql_parser.walk(expr, pre_visit=visit, post_visit=lambda _: None)
    return parts


@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT)
def test_a_dashboard_lets_its_viewer_choose_source_job_and_instance(
    content: dict[str, Any],
) -> None:
    choices = content["templating"]["list"]
    assert [choice["name"] for choice in choices][:3] == ["datasource", "job", "instance"]
    for choice in choices[1:]:
        assert choice["datasource"]["uid"] == "${datasource}"
        assert choice["refresh"] == 2  # whenever the time range changes
        assert (choice["multi"], choice["includeAll"], choice["allValue"]) == (True, True, ".+")


@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT)
def test_a_dashboard_is_changed_here_and_nowhere_else(content: dict[str, Any]) -> None:
    assert content["editable"] is False
    numbers = [panel["id"] for panel in content["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    if len(panel["targets"]) > 1:
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_every_selector_of_a_query_is_narrowed_to_what_was_chosen(expr: str) -> None:
    selectors = found(parsed(expr), VectorSelector)
    assert selectors
    for selector in selectors:
        chosen = {m.name: m.value for m in selector.matchers.matchers}
        assert chosen["job"] == "$job"
        assert chosen["instance"] == "$instance"


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_rates_are_taken_over_the_interval_that_grafana_works_out(expr: str) -> None:
    assert set(re.findall(r"\[([^]]+)\]", expr)) <= {"$__rate_interval", "$__range"}
    for call in found(parsed(expr), Call):
        if call.func.name in ("rate", "increase"):
            (selector,) = found(call, MatrixSelector)
            assert re.search("_(total|count|sum|bucket)$", selector.vector_selector.name)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_no_two_panels_of_a_dashboard_have_the_same_title(board: Board) -> None:
    titles = [(row.title, chart.title) for row in board.rows for chart in row.charts]
    assert len(set(titles)) == len(titles)
