"""What the service imports for what is asked, in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sentryfuse.bundle import write_bundle
from tests.integration.http_server import simulated_bundle, write_profile

PLAY = """
import asyncio, json, sys
from pathlib import Path
import httpx
from app.main import create_app
from app.settings import Settings

async def play(folder, paths):
    app = create_app(Settings(
        models=folder / "models", profiles=folder / "profiles", cores=1, warm_missing=0
    ))
    transport = httpx.ASGITransport(app=app)
    answers = {}
    async with (
        app.lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://here") as client
    ):
        while app.parts.lifecycle.phase == "starting":
            await asyncio.sleep(0.01)
        window = {"inputs": {m.name: [[0.5] * m.channels] * m.length
            for m in app.parts.service.model("toy").spec.modalities}}
        answered = [(await client.post("/v1/infer", json=window)).status_code]
        for method, path in paths:
            answer = await client.request(method, path)
            answered.append([answer.status_code, answer.headers.get("allow")])
    print(json.dumps([answered, sorted(sys.modules)]))

asyncio.run(play(Path(sys.argv[1]), json.loads(sys.argv[2])))
"""
# What costs time and memory and is no part of serving.
SPARED = {"fastapi", "onnx", "numpy.ma", "app.api.framework", "app.api.schemas"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("service")
    bundle = simulated_bundle()
    digest = write_bundle(bundle, root / "models" / "toy" / "1")
    write_profile(bundle, digest, root / "profiles")
    return root


def played(folder: Path, *paths: tuple[str, str]) -> tuple[list[object], set[str]]:
    """Start the service and infer, then ask for these; statuses, and what has been imported."""
    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(folder), json.dumps(paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answered, modules = json.loads(done.stdout.splitlines()[-1])
    return answered, set(modules)


def test_inference_probes_and_metrics_need_no_framework(folder: Path) -> None:
    asked = ("/health", "/healthz", "/health/live", "/health/ready", "/metrics")
    probes = ("/v2/health/live", "/v2/health/ready")
    answered, modules = played(folder, *(("GET", path) for path in (*asked, *probes)))
    assert answered == [200] + 7 * [[200, None]]
    assert not SPARED & modules


def test_everything_else_is_the_frameworks(folder: Path) -> None:
    expected = {
        ("GET", "/v1/models"): [200, None],
        ("GET", "/docs"): [200, None],
        ("GET", "/openapi.json"): [200, None],
        ("GET", "/nowhere"): [404, None],
        ("POST", "/health"): [405, "GET"],
        ("HEAD", "/health/live"): [405, "GET"],
        ("HEAD", "/metrics"): [200, None],
        ("DELETE", "/metrics"): [405, "GET, HEAD"],
        ("GET", "/v1/infer"): [405, "POST"],
    }
    answered, modules = played(folder, *expected)
    assert answered == [200, *expected.values()]
    assert {"fastapi", "app.api.framework"} <= modules
