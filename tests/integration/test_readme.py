"""What the README tells a newcomer to type, typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http_server import start_service, wait_for

README = Path("README.md").read_text(encoding="utf-8")
PORT = "8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of the service with the shipped models and default settings, ready."""
    service = start_service(
        tmp_path_factory.mktemp("readme"),
        models=Path("models").resolve(),
        ratios="0,0.25,0.5,0.65,0.8,0.9",
        warm_missing=4,
    )
    wait_for(service, "/health/ready")
    yield service.url.removeprefix("http://")
    service.stop()


def test_the_curl_example_answers_within_its_budget(address: str, tmp_path: Path) -> None:
    script = next(b for b in blocks("sh") if "curl" in b).replace(f"localhost:{PORT}", address)
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert set(answer["plan"]["presence"]) == {"torso", "right_arm", "left_leg"}
    assert answer["receipt"]["budget"]["latency"]["asked_ms"] == 5
    asked = json.loads((tmp_path / "window.json").read_text())
    assert answer["predictions"][0]["label"] == asked["label"]


def test_the_python_example_runs(address: str) -> None:
    (script,) = blocks("python")
    code = script.replace(f"localhost:{PORT}", address)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip()


def test_make_knows_every_target_that_the_documentation_names() -> None:
    makefile = Path("Makefile").read_text(encoding="utf-8")
    pages = [README, *(p.read_text(encoding="utf-8") for p in Path("docs").rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"^make ([\w./-]+)", page, re.MULTILINE):
            assert f"\n{target}:" in makefile
