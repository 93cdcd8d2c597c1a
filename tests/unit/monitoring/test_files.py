"""What is committed is what would be written, and Prometheus and Grafana can read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.alerts import ALERTS, RUNBOOK
from monitoring.files import files
from tests.unit.monitoring.promtool import promtool

TOP = Path(__file__).parents[3]
FILES = files()
DASHBOARDS = sorted((TOP / "docker/grafana/dashboards").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_committed_file_is_what_would_be_written(path: Path) -> None:
    assert (TOP / path).read_text(encoding="utf-8") == FILES[path], "run `python -m monitoring`"


@pytest.mark.parametrize(
    "folder", ["docker/grafana/dashboards", "k8s/overlays/monitoring/dashboards"]
)
def test_no_dashboard_is_there_that_nobody_writes(folder: str) -> None:
    written = {path.name for path in FILES if path.parent == Path(folder)}
    assert {path.name for path in (TOP / folder).iterdir()} == written


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_read_back(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    read = Dashboard.from_json(content)
    assert read.uid == content["uid"]
    assert read.panels is not None
    assert len(read.panels) == len(content["panels"])


def test_prometheus_accepts_its_configuration_and_every_rule() -> None:
    said = promtool("check", "config", TOP / "docker/prometheus/prometheus.yml")
    assert "2 rule files found" in said
    for name in ("rules.yml", "alerts.yml"):
        promtool("check", "rules", "--lint=all", "--lint-fatal", TOP / "docker/prometheus" / name)


def test_kubernetes_gets_the_same_rules() -> None:
    rule_files = [
        yaml.safe_load(FILES[Path(f"docker/prometheus/{n}.yml")]) for n in ("rules", "alerts")
    ]
    rule = yaml.safe_load(FILES[Path("k8s/overlays/monitoring/prometheus-rule.yaml")])
    assert rule["spec"]["groups"] == [g for content in rule_files for g in content["groups"]]


def test_grafana_asks_for_data_as_often_as_prometheus_scrapes() -> None:
    prometheus = yaml.safe_load((TOP / "docker/prometheus/prometheus.yml").read_text())
    source = yaml.safe_load(
        (TOP / "docker/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    interval = source["datasources"][0]["jsonData"]["timeInterval"]
    assert interval == prometheus["global"]["scrape_interval"]


def test_every_alert_has_its_place_in_the_runbook() -> None:
    headings = re.findall(r"^## (.+)$", (TOP / "docs/runbook.md").read_text(), re.MULTILINE)
    assert headings == [alert.name for alert in ALERTS]
    assert {alert.runbook_url for alert in ALERTS} == {f"{RUNBOOK}#{h.lower()}" for h in headings}
