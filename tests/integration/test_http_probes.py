"""Probes that tell the truth: of what is stuck, of what is not ready, and under overload."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.held import Held
from tests.integration.http_server import StartHttp


def test_liveness_fails_while_an_inference_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(tmp_path, monkeypatch, stuck_s=0.3)
    try:
        with ThreadPoolExecutor(max_workers=1) as threads:
            running = threads.submit(held.post)
            held.until(lambda: held.sizes == [1])
            assert held.get("/health/live").status_code == 200, "long is not stuck"
            held.until(lambda: held.get("/health/live").status_code == 503)
            stuck = held.get("/health/live").json()
            assert stuck["status"] == "stuck"
            assert stuck["because"][0].startswith("an inference has been running for")
            unready = held.get("/health/ready")
            assert unready.status_code == 503
            assert unready.json()["because"][0].startswith("an inference has been running for")
            held.go.set()
            assert running.result().status_code == 200
            held.until(lambda: held.get("/health/ready").status_code == 200)
            assert held.get("/health/live").status_code == 200
    finally:
        held.stop()


def test_probes_wait_for_neither_inference_nor_parsing_under_overload(
    start_http: StartHttp,
) -> None:
    service = start_http()
    content = json.dumps(service.window(batch=32)).encode()
    headers = {"Content-Type": "application/json", "X-Latency-Budget-Ms": "200"}
    over = time.monotonic() + 3.0

    def flood(_: int) -> int:
        with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
            sent = 0
            while time.monotonic() < over:
                client.post("/v1/infer", content=content, headers=headers)
                sent += 1
        return sent

    took_s = []
    with ThreadPoolExecutor(max_workers=12) as threads:
        floods = threads.map(flood, range(12))
        time.sleep(0.3)
        while time.monotonic() < over:
            began_s = time.monotonic()
            assert service.client.get("/health/live").status_code == 200
            assert service.client.get("/health/ready").status_code == 200
            took_s.append((time.monotonic() - began_s) / 2)
            time.sleep(0.02)
        assert sum(floods) > 100
    took_s.sort()
    assert took_s[len(took_s) // 2] < 0.25
    assert took_s[-1] < 1.0, "probes give up after a second"
