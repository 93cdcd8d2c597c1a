"""KServe's own client, unchanged, drives the service from an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.http_server import HttpService

INTERPRETER = Path(".venv-kserve/bin/python")
SCRIPT = Path(__file__).parent / "kserve_client.py"
SENSORS = ("sensor_0", "sensor_3")


@pytest.fixture(scope="module")
def told(service: HttpService) -> dict[str, Any]:
    """What the client says of everything it was asked to do."""
    if not INTERPRETER.exists():
        pytest.skip("no environment of the KServe client: make .venv-kserve/ready")
    done = subprocess.run(
        [str(INTERPRETER), str(SCRIPT), service.url, "toy"],
        input=json.dumps(service.window(*SENSORS)["inputs"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_kserve_sees_who_is_alive_and_ready(told: dict[str, Any]) -> None:
    assert told["live"]
    assert told["ready"]
    assert told["model_ready"]
    assert not told["nobody_ready"]


@pytest.mark.parametrize("form", ["json", "binary"])
def test_kserve_gets_the_answer_of_the_native_api(
    told: dict[str, Any], service: HttpService, form: str
) -> None:
    answer = told["answers"][form]
    (expected,) = service.infer(service.window(*SENSORS)).json()["predictions"]
    assert (answer["model"], answer["id"]) == ("toy", f"as-{form}")
    assert answer["outputs"]["index"] == [expected["index"]]
    best = max(answer["outputs"]["probabilities"])
    assert best == pytest.approx(expected["probability"], abs=1e-5)
    assert answer["parameters"]["presence"] == ",".join(SENSORS)
    receipt = json.loads(answer["parameters"]["receipt"])
    assert receipt["budget"]["latency"]["asked_ms"] == 20_000


def test_kserve_shows_our_errors(told: dict[str, Any]) -> None:
    assert told["unknown"].startswith("no model 'nobody'; there is toy, '404 Not Found'")
    assert told["wrong"].startswith("modality 'sensor_0' must be [12, 3] numbers")
