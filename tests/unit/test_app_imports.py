from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "onnx",
    "scipy",
    "redis",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "requests",
    "sentryfuse.learn",
    "sentryfuse.cli",
    "rich",
    "typer",
    "grpc",
    "websockets",
)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Modules in a fresh interpreter that has imported the service."""
    code = "import sys, json, app.main; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", HEAVY)
def test_importing_the_service_leaves_what_it_does_not_need_alone(
    imported: set[str], name: str
) -> None:
    assert name not in imported


def test_importing_the_service_loads_the_engine(imported: set[str]) -> None:
    assert {"onnxruntime", "app.service", "app.api.infer"} <= imported
