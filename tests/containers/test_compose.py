"""docker-compose.yml, brought up: the service, Redis and Prometheus, and the network between them.

No registry is needed: docker/ci-stand-ins makes images of this machine's Redis and Prometheus.
Grafana is no package of Debian's and stays out; what it would ask is asked for it. Ports are free
ones, and health checks are carried out here: podman leaves their time to systemd.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.containers.image import (
    IMAGE,
    READY_TIMEOUT_S,
    ROOT,
    call_podman,
    image,
    podman,
)
from tests.integration.redis_server import free_port

__all__ = ["image"]

pytestmark = pytest.mark.timeout(1200)  # the first test builds the image, from nothing if need be
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
IMAGES = {
    "sentryfuse": IMAGE,
    "redis": "localhost/stand-in-redis:ci",
    "prometheus": "localhost/stand-in-prometheus:ci",
}
PROJECT = "sentryfuse-test"


@dataclass(frozen=True)
class Composed:
    """What runs, and where it is reached."""

    service: httpx.Client
    prometheus: httpx.Client

    def run(self, name: str, *command: str) -> str:
        """Run a command in a service's container; return what it prints."""
        return podman("exec", container(name), *command)

    def inspect(self, name: str, what: str) -> str:
        """One fact of a container, as podman's templates name it."""
        return podman("inspect", "--format", f"{{{{{what}}}}}", container(name))

    def asked(self, query: str) -> list[Any]:
        """What Prometheus answers."""
        found = self.prometheus.get("/api/v1/query", params={"query": query}).json()
        answers: list[Any] = found["data"]["result"]
        return answers


def container(name: str) -> str:
    return f"{PROJECT}_{name}_1"


def with_stand_ins(ports: dict[str, int]) -> dict[str, Any]:
    """The compose file of this checkout as it runs where there is no registry."""
    services: dict[str, Any] = {}
    for name, stand_in in IMAGES.items():
        services[name] = {**COMPOSE["services"][name], "image": stand_in}
        services[name].pop("build", None)
        services[name]["healthcheck"] = {"disable": True}
        services[name]["volumes"] = [
            volume.replace("./", f"{ROOT}/", 1) for volume in services[name].get("volumes", ())
        ]
        (port,) = services[name].pop("ports", [None])
        if port is not None:
            where, _, inside = port.rsplit(":", 2)
            services[name]["ports"] = [f"{where}:{ports[name]}:{inside}"]
    volumes = {name: it for name, it in COMPOSE["volumes"].items() if name != "grafana"}
    return {**COMPOSE, "name": PROJECT, "services": services, "volumes": volumes}


@pytest.fixture(scope="module")
def composed(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    missing = [name for name in ("redis-server", "prometheus") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no stand-ins can be made: {missing} missing")
    subprocess.run([ROOT / "docker/ci-stand-ins"], check=True, capture_output=True, timeout=120)
    ports = {"sentryfuse": free_port(), "prometheus": free_port()}
    file = tmp_path_factory.mktemp("compose") / "compose.yml"
    file.write_text(yaml.safe_dump(with_stand_ins(ports)), encoding="utf-8")
    try:
        compose(file, "up", "--detach")
        with client(ports["sentryfuse"]) as service, client(ports["prometheus"]) as prometheus:
            wait_for(lambda: answers(service, "/health/ready"), "sentryfuse")
            wait_for(lambda: answers(prometheus, "/-/ready"), "prometheus")
            yield Composed(service, prometheus)
    finally:
        compose(file, "down", "--volumes")


def compose(file: Path, *arguments: str) -> None:
    program = Path(sys.executable).parent / "podman-compose"
    command = [program, "--podman-path", ROOT / "docker/podman", "--in-pod", "false"]
    done = subprocess.run(
        [*command, "--file", file, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)


def answers(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], object], name: str) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, call_podman("logs", container(name)).stderr[-2000:]
        time.sleep(0.1)


@pytest.mark.parametrize("name", IMAGES)
def test_each_container_is_as_restricted_as_the_file_says(composed: Composed, name: str) -> None:
    assert composed.inspect(name, ".HostConfig.ReadonlyRootfs") == "true"
    assert composed.inspect(name, ".EffectiveCaps") == "[]"
    assert composed.inspect(name, ".HostConfig.SecurityOpt") == "[no-new-privileges]"
    memory = f"{int(composed.inspect(name, '.HostConfig.Memory')) // 2**20}m"
    assert memory == COMPOSE["services"][name]["mem_limit"]


def test_the_service_shares_its_masks_through_redis(composed: Composed) -> None:
    keys = composed.run("redis", "redis-cli", "--scan", "--pattern", "sentryfuse:1:*:mask:*")
    assert len(keys.splitlines()) > 100  # six ratios for each of 31 sets of sensors


def test_prometheus_scrapes_the_service_and_knows_our_rules(composed: Composed) -> None:
    window = composed.service.get("/v1/models/dsads-maestro/sample").json()
    assert composed.service.post("/v1/infer", json=window).status_code == 200
    wait_for(lambda: composed.asked("sentryfuse_variant_inferences_total > 0"), "prometheus")
    assert [up["value"][1] for up in composed.asked('up{job="sentryfuse"}')] == ["1"]
    groups = composed.prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    assert {group["name"] for group in groups} == {"sentryfuse", "sentryfuse-alerts"}


def test_the_health_check_of_redis_passes(composed: Composed) -> None:
    command = COMPOSE["services"]["redis"]["healthcheck"]["test"]
    assert command[0] == "CMD"
    assert composed.run("redis", *command[1:]) == "PONG"


def test_prometheus_is_where_grafana_looks_for_it(composed: Composed) -> None:
    provisioned = ROOT / "docker/grafana/provisioning/datasources/prometheus.yml"
    (source,) = yaml.safe_load(provisioned.read_text(encoding="utf-8"))["datasources"]
    look = f"from urllib.request import urlopen; print(urlopen('{source['url']}/-/ready').status)"
    assert composed.run("sentryfuse", "python3", "-c", look) == "200"
