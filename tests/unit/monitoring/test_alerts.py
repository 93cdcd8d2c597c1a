"""Every alert goes off when it should, and at no other time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import promql_parser
import pytest
import yaml

from loadtests.prometheus_server import PromtoolError
from monitoring.alerts import ALERTS
from monitoring.cases import CASES, Case, promtool_test
from monitoring.rules import RECORDINGS
from tests.unit.monitoring.promtool import promtool

FOLDER = Path(__file__).parents[3] / "docker/prometheus"
RULE_FILES = (FOLDER / "rules.yml", FOLDER / "alerts.yml")


def tried(tmp_path: Path, *cases: Case) -> str:
    test = tmp_path / "test.yml"
    test.write_text(yaml.safe_dump(promtool_test(cases, RULE_FILES)), encoding="utf-8")
    return promtool("test", "rules", test)


def test_in_every_situation_the_right_alerts_go_off_and_no_other(tmp_path: Path) -> None:
    assert "SUCCESS" in tried(tmp_path, *CASES)


@pytest.mark.parametrize("goes_off", [True, False])
def test_a_situation_that_is_described_wrongly_is_noticed(tmp_path: Path, goes_off: bool) -> None:
    case = next(case for case in CASES if case.goes_off is goes_off)
    with pytest.raises(PromtoolError):
        tried(tmp_path, replace(case, goes_off=not goes_off))


@pytest.mark.parametrize("goes_off", [True, False])
def test_for_every_alert_there_is_a_situation_of_either_kind(goes_off: bool) -> None:
    assert {c.alert for c in CASES if c.goes_off is goes_off} == {a.name for a in ALERTS}


@pytest.mark.parametrize("rule", [*RECORDINGS, *ALERTS], ids=lambda rule: rule.name)
def test_a_rule_is_good_promql(rule: object) -> None:
    assert promql_parser.parse(rule.expr)  # type: ignore[attr-defined]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_where_and_what(alert: object) -> None:
    assert "{{ $labels.instance }}" in alert.summary  # type: ignore[attr-defined]
    assert alert.description.endswith(".")  # type: ignore[attr-defined]
