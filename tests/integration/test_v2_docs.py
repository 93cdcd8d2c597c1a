"""Every example in docs/open-inference.md, run against the service with the shipped model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.http_server import HttpService
from tests.integration.test_client_docs import json_documents
from tests.integration.test_v2_kserve import INTERPRETER

PAGE = Path("docs/open-inference.md").read_text(encoding="utf-8")


def example(language: str, containing: str, address: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if containing in block)
    return str(found).replace("localhost:8080", address)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_example_runs(shipped: str) -> None:
    script = example("sh", "window-7", shipped)
    metadata, answer = json_documents(run("bash", "-e", "-o", "pipefail", "-c", script))
    assert metadata["name"] == answer["model_name"] == "dsads-maestro"
    assert answer["id"] == "window-7"
    assert answer["parameters"]


def test_the_example_with_tritons_client_runs(shipped: str) -> None:
    told = run(sys.executable, "-W", "error", "-c", example("python", "tritonclient.http", shipped))
    assert re.fullmatch(r"\S.* [\d.]+\n", told)


def test_the_example_over_grpc_runs(shipped_service: HttpService) -> None:
    assert shipped_service.grpc_address is not None
    code = example("python", "tritonclient.grpc", "").replace(
        "localhost:8081", shipped_service.grpc_address
    )
    assert re.fullmatch(r"\S.* rho .*\n", run(sys.executable, "-W", "error", "-c", code))


def test_the_example_with_kserves_client_runs(shipped: str) -> None:
    if not INTERPRETER.exists():
        pytest.skip("no environment of the KServe client: make .venv-kserve/ready")
    told = run(str(INTERPRETER), "-c", example("python", "kserve", shipped))
    assert re.fullmatch(r"\S+ [\d.]+\n", told)
