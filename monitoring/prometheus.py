"""Rules in the forms that Prometheus and its Kubernetes operator read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from monitoring.alerts import Alert
from monitoring.rules import Recording

Content = dict[str, Any]

_WRITTEN = "# Written by `python -m monitoring`; change monitoring/ instead.\n"


def recording_groups(recordings: Iterable[Recording]) -> Content:
    """Recording rules as the content of a rule file."""
    rules = [{"record": r.name, "expr": r.expr} for r in recordings]
    return {"groups": [{"name": "sentryfuse", "rules": rules}]}


def alert_groups(alerts: Iterable[Alert]) -> Content:
    """Alerts as the content of a rule file."""
    return {"groups": [{"name": "sentryfuse-alerts", "rules": [_rule(a) for a in alerts]}]}


def prometheus_rule(*contents: Content) -> Content:
    """Rule files as one object of the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sentryfuse", "labels": {"app.kubernetes.io/name": "sentryfuse"}},
        "spec": {"groups": [group for content in contents for group in content["groups"]]},
    }


def to_yaml(content: Content) -> str:
    """Write a file."""
    text: str = yaml.safe_dump(content, sort_keys=False, width=10_000)
    return _WRITTEN + text


def _rule(alert: Alert) -> Content:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": alert.runbook_url,
        },
    }
