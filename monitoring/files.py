"""Every file that is written, by its path in the checkout."""

from __future__ import annotations

from pathlib import Path

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.grafana import to_json
from monitoring.prometheus import alert_groups, prometheus_rule, recording_groups, to_yaml
from monitoring.rules import RECORDINGS

_GRAFANA = Path("docker/grafana/dashboards")
_PROMETHEUS = Path("docker/prometheus")
_KUBERNETES = Path("k8s/overlays/monitoring")
"""Kustomize reads nothing outside its own folder, so dashboards are there once more."""


def files() -> dict[Path, str]:
    """Texts by path, relative to the checkout."""
    recordings, alerts = recording_groups(RECORDINGS), alert_groups(ALERTS)
    written = {
        _PROMETHEUS / "rules.yml": to_yaml(recordings),
        _PROMETHEUS / "alerts.yml": to_yaml(alerts),
        _KUBERNETES / "prometheus-rule.yaml": to_yaml(prometheus_rule(recordings, alerts)),
    }
    for board in BOARDS:
        name = board.uid.removeprefix("sentryfuse-") + ".json"
        written[_GRAFANA / name] = written[_KUBERNETES / "dashboards" / name] = to_json(board)
    return written
