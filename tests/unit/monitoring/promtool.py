"""Prometheus' own tool, which checks what Prometheus would read."""

from __future__ import annotations

import pytest

from loadtests.prometheus_server import NoPrometheusError
from loadtests.prometheus_server import promtool as run_promtool


def promtool(*arguments: object) -> str:
    """Run it, demand that it is content, and return what it says."""
    try:
        return run_promtool(*arguments)
    except NoPrometheusError as error:
        pytest.skip(str(error))
