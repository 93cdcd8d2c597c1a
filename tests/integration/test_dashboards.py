"""What dashboards and alerts ask, answered by a real Prometheus that scrapes the real service."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loadtests.bench import bench
from loadtests.board_picture import SHOWN, draw_panels
from loadtests.prometheus_server import prometheus_running
from loadtests.scenarios import dashboards
from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from sentryfuse.bundle import write_bundle
from tests.integration.http_server import RATIOS, simulated_bundle

needs_programs = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("redis-server")),
    reason="needs prometheus and redis-server (scripts/install-system-packages)",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a short run with a small made-up model."""
    folder = tmp_path_factory.mktemp("dashboards")
    write_bundle(simulated_bundle(), folder / "models" / "toy" / "1")
    with bench(folder / "models", "toy/1", quiet=True, ratios=RATIOS, meter="cpu-time") as where:
        return dashboards.run(where, seconds=5.0).save(folder)


@pytest.fixture
def record(saved: Path) -> dict[str, Any]:
    """What it says."""
    made: dict[str, Any] = json.loads(saved.read_text(encoding="utf-8"))
    return made


@needs_programs
def test_every_panel_shows_something_and_every_alert_can_go_off(record: dict[str, Any]) -> None:
    empty = [e["where"] for e in record["expressions"] if not (e["values"] or e["goes_off"])]
    assert not empty
    assert record["figures"]["dashboards_nonempty_ratio"]["value"] == 1.0


@needs_programs
def test_every_expression_was_asked(record: dict[str, Any]) -> None:
    asked = [e["where"] for e in record["expressions"]]
    queries = [query for board in BOARDS for chart in board.charts() for query in chart.queries]
    assert len([where for where in asked if where.startswith("SentryFuse: ")]) == len(queries)
    assert asked[-len(ALERTS) :] == [alert.name for alert in ALERTS]


@needs_programs
def test_some_alerts_go_off_for_real(record: dict[str, Any]) -> None:
    values = {e["where"]: e["values"] for e in record["expressions"]}
    assert values["SentryFuseEnergyModelled"] == 1  # there is no meter
    assert values["SentryFuseBudgetsMissed"] >= 1
    assert values["SentryFuseAccuracyBelowFloor"] == 1
    assert values["SentryFusePowerCapExceeded"] == 0
    assert values["SentryFuseNotReady"] == 0


@needs_programs
def test_prometheus_keeps_the_traces_behind_latencies(record: dict[str, Any]) -> None:
    assert record["exemplars"] == 1


@needs_programs
def test_panels_are_drawn_with_their_titles(saved: Path, tmp_path: Path) -> None:
    drawn = draw_panels(saved, tmp_path / "panels.svg").read_text(encoding="utf-8")
    assert all(title in drawn for title in SHOWN)


@needs_programs
def test_what_is_not_there_or_no_number_shows_nothing(tmp_path: Path) -> None:
    with prometheus_running(tmp_path, "127.0.0.1:1", ()) as prometheus:
        assert prometheus.values("vector(1)") == [1.0]
        assert prometheus.values("nothing_like_it") == []
        assert prometheus.values("vector(0) / 0") == []
