"""The real service in a process of its own, on a free port, with made-up models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from sentryfuse.bundle import Bundle, write_bundle
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.data.windows import WindowSet
from sentryfuse.variants import HostProfile, ProfileSample, VariantBuilder, host_fingerprint
from tests.bundles import random_bundle, random_windows, small_spec
from tests.integration.redis_server import free_port

READY_DEADLINE_S = 100.0
RATIOS = "0,0.5,0.9"
LATENCY_S = {0: 0.040, 500: 0.020, 900: 0.010}
"""What the made-up host profile says of the full presence, by ratio in thousandths."""


@dataclass
class HttpService:
    """One running service and what a test may do to it."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    bundle: Bundle
    grpc_address: str | None = None
    """Where gRPC listens, if it does."""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def window(self, *names: str, batch: int | None = None, seed: int = 0) -> dict[str, Any]:
        """A request with random windows of these modalities, or of all."""
        arrays = random_windows(self.bundle.spec, names or None, batch=batch or 1, seed=seed)
        return {"inputs": {n: (a if batch else a[0]).round(4).tolist() for n, a in arrays.items()}}

    def infer(self, content: object = None, **headers: str) -> httpx.Response:
        """POST to the default model; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/v1/infer", json=content or self.window(), headers=named)

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of one sample at this moment."""
        for line in self.client.get("/metrics").text.splitlines():
            found, _, value = line.rpartition(" ")
            if found.partition("{")[0] == name and all(
                f'{k}="{v}"' in found for k, v in labels.items()
            ):
                return float(value)
        return None

    def log_lines(self) -> list[dict[str, Any]]:
        """Every line so far; one that is still being written is left out."""
        written, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in written.splitlines()]

    def log_of(self, request_id: str) -> list[dict[str, Any]]:
        """The lines of one request, once the one that ends it is there."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            lines = [line for line in self.log_lines() if line.get("request_id") == request_id]
            if lines and "duration_ms" in lines[-1]:
                return lines
            time.sleep(0.01)
        raise AssertionError(f"request {request_id} was not logged")

    def stop(self) -> int:
        """Ask the process to end, if it has not yet; return its exit status."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


StartHttp = Callable[..., HttpService]


def simulated_bundle() -> Bundle:
    """A small random bundle that can also make up windows."""
    bundle = random_bundle(small_spec())
    spec = bundle.spec
    label = np.arange(24) % spec.num_classes
    windows = WindowSet(
        name="toy",
        arrays=random_windows(spec, batch=24),
        label=label.astype(np.int64),
        group=np.zeros(24, dtype=np.int64),
        class_names=spec.task.class_names,
        modalities=spec.modalities,
        meta={},
    )
    return replace(bundle, simulator_arrays=WindowSimulator.fit(windows).to_arrays())


def write_profile(bundle: Bundle, digest: str, folder: Path, *, dearer: float = 1.0) -> None:
    """A host profile that does not depend on the host, so that budgets are sure to bite.

    Args:
        bundle: What it is of.
        digest: Of the bundle.
        folder: Where the service looks for it.
        dearer: What a window in a batch of two costs, over one alone.
    """
    builder = VariantBuilder(bundle)
    samples = [
        ProfileSample(
            modalities=len(presence),
            flops=builder.inventory.cost(presence, builder.mask(presence, p / 1000).keep).flops,
            batch=batch,
            latency_s=latency_s * (batch if batch == 1 else batch * dearer),
            cpu_s=latency_s * (batch if batch == 1 else batch * dearer),
        )
        for presence in (bundle.spec.full_presence,)
        for p, latency_s in LATENCY_S.items()
        for batch in (1, 2)
    ]
    profile = HostProfile(host_fingerprint(), digest, tuple(samples))
    folder.mkdir(exist_ok=True)
    path = folder / f"{digest[:32]}-{profile.fingerprint}.json"
    path.write_text(json.dumps(profile.to_json()))


def start_service(folder: Path, **settings: object) -> HttpService:
    """Start the service with a model called toy; it is not ready yet when this returns."""
    bundle, port = simulated_bundle(), free_port()
    digest = write_bundle(bundle, folder / "models" / "toy" / "2")
    write_bundle(random_bundle(small_spec(((4, 1),))), folder / "models" / "toy" / "1")
    write_profile(bundle, digest, folder / "profiles")
    chosen = {
        "models": folder / "models",
        "profiles": folder / "profiles",
        "port": port,
        "ratios": RATIOS,
        "warm_missing": 0,
        "cores": 1,
        **settings,
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTRYFUSE_")}
    environment |= {f"SENTRYFUSE_{name.upper()}": str(value) for name, value in chosen.items()}
    log = folder / "service.log"
    command = [sys.executable, "-W", "error", "-c", "from app.server import serve; serve()"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, env=environment, stderr=stderr)
    grpc_address = f"127.0.0.1:{chosen['grpc_port']}" if "grpc_port" in chosen else None
    return HttpService(f"http://127.0.0.1:{chosen['port']}", process, log, bundle, grpc_address)


def wait_for(service: HttpService, path: str, status: int = 200) -> httpx.Response:
    """Ask until the answer has this status."""
    deadline = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline:
        assert service.process.poll() is None, service.log.read_text()
        try:
            response = service.client.get(path)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if response.status_code == status:
            return response
        time.sleep(0.02)
    raise AssertionError(f"{path} never answered {status}: {service.log.read_text()}")


@pytest.fixture
def start_http(tmp_path: Path) -> Iterator[StartHttp]:
    """Starts services with settings of a test's own, and stops them."""
    started: list[HttpService] = []

    def start(*, ready: bool = True, **settings: object) -> HttpService:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        service = start_service(folder, **settings)
        started.append(service)
        if ready:
            wait_for(service, "/health/ready")
        return service

    yield start
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """One service for all tests that do not change it."""
    running = start_service(
        tmp_path_factory.mktemp("service"), max_body_bytes=200_000, grpc_port=free_port()
    )
    wait_for(running, "/health/ready")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """One service that only answers dry runs: its estimates are those of its made-up profile."""
    running = start_service(tmp_path_factory.mktemp("untouched"))
    wait_for(running, "/health/ready")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def shipped_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The service with the shipped models and default settings, ready, over HTTP and gRPC."""
    running = start_service(
        tmp_path_factory.mktemp("shipped"),
        models=Path("models").resolve(),
        ratios="0,0.25,0.5,0.65,0.8,0.9",
        warm_missing=4,
        grpc_port=free_port(),
    )
    wait_for(running, "/health/ready")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def shipped(shipped_service: HttpService) -> str:
    """``host:port`` of the service with the shipped models, over HTTP."""
    return shipped_service.url.removeprefix("http://")
