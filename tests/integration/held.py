"""The service in this process, so that a test can hold its only core."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.inference import batch
from app.serving import build
from app.settings import Settings
from sentryfuse.bundle import Bundle, write_bundle
from tests.bundles import random_windows
from tests.integration.http_server import simulated_bundle, write_profile
from tests.integration.redis_server import free_port

_NEVER_S = 86_400.0  # the end of a grace period would end the process of the tests


class Held:
    """A service whose only core stays busy until it is let go."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **chosen: object) -> None:
        self.bundle: Bundle = simulated_bundle()
        digest = write_bundle(self.bundle, folder / "models" / "toy" / "1")
        write_profile(self.bundle, digest, folder / "profiles")
        self.go = threading.Event()
        self.sizes: list[int] = []
        run = batch.run

        def held(variant: Any, requests: Any, **how: Any) -> batch.Run:
            self.sizes.append(len(requests))
            assert self.go.wait(20)
            return run(variant, requests, **how)

        monkeypatch.setattr(batch, "run", held)
        port = free_port()
        settings = Settings(
            **{
                "models": folder / "models",
                "profiles": folder / "profiles",
                "ratios": (0.9,),
                "cores": 1,
                "port": port,
                "grace_s": _NEVER_S,
                **chosen,
            }
        )
        self.grpc_address = f"127.0.0.1:{settings.grpc_port}"
        self.server, lifecycle = build(settings)
        self.builders: ThreadPoolExecutor = lifecycle._builders
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.address = ("127.0.0.1", port)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self.until(lambda: self.get("/health/ready").status_code == 200)

    def get(self, path: str) -> httpx.Response:
        try:
            return self.client.get(path)
        except httpx.TransportError:
            return httpx.Response(503)

    def metric(self, line: str) -> float:
        """The value of the line of the metrics that begins so."""
        for found in self.get("/metrics").text.splitlines():
            if found.startswith(line):
                return float(found.rpartition(" ")[2])
        return 0.0

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def body(self) -> bytes:
        arrays = random_windows(self.bundle.spec)
        return json.dumps({"inputs": {n: a[0].tolist() for n, a in arrays.items()}}).encode()

    def post(self) -> httpx.Response:
        return self.client.post(
            "/v1/infer",
            content=self.body,
            headers={"Content-Type": "application/json"},
            timeout=20,
        )

    def stop(self) -> None:
        self.go.set()
        self.client.close()
        if self.thread.is_alive():
            self.server.force_exit = self.server.should_exit = True
        self.thread.join(timeout=20)
