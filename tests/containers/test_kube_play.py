"""The overlay for one node, as rendered, run by podman: pod, volumes and security for real.

What podman does not know, such as Services and NetworkPolicies, it leaves out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from app.security.keys import KeyRing, new_key
from tests.containers.image import IMAGE, READY_TIMEOUT_S, call_podman, image, podman
from tests.integration.redis_server import free_port
from tests.k8s.manifests import K8S, Pod, manifests, pods, rendered

__all__ = ["image"]

pytestmark = pytest.mark.timeout(1200)  # the first test builds the image, from nothing if need be
SHARE = K8S / "overlays/metering/nodes/share-rapl.sh"


@dataclass(frozen=True)
class Played:
    """A pod that podman runs, and how to reach it."""

    client: httpx.Client
    container: str
    key: dict[str, str]

    def status(self) -> dict[str, str]:
        """What the kernel says of the service."""
        text = podman("exec", self.container, "cat", "/proc/1/status")
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def kustomization(folder: Path, port: int, keys: Path) -> str:
    """The overlay with the image of this checkout, on a port of this host.

    The keys come from a folder: podman 4.3 hands Secrets to pods without decoding them.
    """
    name, _, tag = IMAGE.partition(":")
    ports = "/spec/template/spec/containers/0/ports/0"
    assert the_pod().spec["volumes"][0]["name"] == "keys"
    patch = [
        {
            "op": "replace",
            "path": "/spec/template/spec/volumes/0",
            "value": {"name": "keys", "hostPath": {"path": str(keys), "type": "Directory"}},
        },
        {"op": "add", "path": f"{ports}/hostPort", "value": port},
        {"op": "add", "path": f"{ports}/hostIP", "value": "127.0.0.1"},
        {"op": "add", "path": "/spec/template/spec/restartPolicy", "value": "Never"},  # see its end
    ]
    own = {
        "resources": [os.path.relpath(K8S / "overlays/single-node", folder.resolve())],
        "images": [{"name": "ghcr.io/sentryfuse/sentryfuse", "newName": name, "newTag": tag}],
        "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(patch)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return rendered(folder)


@pytest.fixture(scope="module")
def played(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder, port = tmp_path_factory.mktemp("node"), free_port()
    keys = folder / "keys"
    keys.mkdir()
    folder.chmod(0o755)
    secret_key, key = new_key("gateway", frozenset({"infer", "read"}))
    (keys / "keys.json").write_text(json.dumps(KeyRing((key,)).to_json()))
    (folder / "overlay.yaml").write_text(kustomization(folder, port, keys))
    try:
        podman("kube", "play", str(folder / "overlay.yaml"))
        (pod,) = pods(manifests(folder))
        name = f"{pod.owner['metadata']['name']}-pod-0-sentryfuse"
        header = {"Authorization": f"Bearer {secret_key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            played = Played(http, name, header)
            wait_until_ready(played)
            yield played
    finally:
        call_podman("kube", "down", str(folder / "overlay.yaml"))


def wait_until_ready(played: Played) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if played.client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready: {podman('logs', played.container)[-2000:]}")


def test_the_pod_is_as_restricted_as_it_says(played: Played) -> None:
    status = played.status()
    assert {*status["Uid"].split(), *status["Gid"].split()} == {"10001"}
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    refused = call_podman("exec", played.container, "touch", "/models/x")
    assert "Read-only file system" in refused.stderr


def test_memory_is_bounded_as_the_manifest_says(played: Played) -> None:
    asked = the_pod().spec["containers"][0]["resources"]["limits"]["memory"]
    bound = podman("inspect", "--format", "{{.HostConfig.Memory}}", played.container)
    assert f"{int(bound) // 2**20}Mi" == asked


def test_it_answers_who_has_the_key_of_the_secret_and_nobody_else(played: Played) -> None:
    sample = "/v1/models/dsads-maestro/sample"
    assert played.client.get(sample).status_code == 401
    window = played.client.get(sample, headers=played.key).json()
    assert played.client.post("/v1/infer", json=window).status_code == 401
    answer = played.client.post("/v1/infer", json=window, headers=played.key)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["label"]


def test_the_settings_are_those_of_the_config_map_and_of_nothing_else(played: Played) -> None:
    lines = podman("exec", played.container, "env").splitlines()
    there = dict(line.split("=", 1) for line in lines if line.startswith("SENTRYFUSE_"))
    assert settings().items() <= there.items()
    assert {*there} - {*settings()} <= {"SENTRYFUSE_MODELS"}  # the image's own


def test_the_host_profile_is_kept_in_the_volume(played: Played) -> None:
    kept = podman("exec", played.container, "ls", "/var/lib/sentryfuse/profiles")
    assert kept.endswith(".json")


def test_the_image_has_what_sharing_counters_takes(played: Played) -> None:
    zone = "/tmp/powercap/intel-rapl:0"
    podman("exec", played.container, "mkdir", "-p", zone)
    podman("exec", played.container, "touch", f"{zone}/energy_uj")
    share = ("sh", "-c", SHARE.read_text(), SHARE.name, "/tmp/powercap", "10001")
    said = podman("exec", "--env=EVERY_S=0", played.container, *share)
    assert said == f"group 10001 may read {zone}/energy_uj"
    assert (
        podman("exec", played.container, "stat", "-c", "%a:%g", f"{zone}/energy_uj") == "440:10001"
    )


def test_told_to_end_it_serves_on_until_it_is_forgotten_and_ends_well(played: Played) -> None:
    """The last test: afterwards the pod is down."""
    drain_s = float(settings()["SENTRYFUSE_DRAIN_S"])
    window = played.client.get("/v1/models/dsads-maestro/sample", headers=played.key).json()
    podman("kill", "--signal", "TERM", played.container)
    told_s = time.monotonic()
    statuses = []
    while time.monotonic() < told_s + drain_s - 1:
        answer = played.client.post("/v1/infer", json=window, headers=played.key)
        statuses.append(answer.status_code)
    assert played.client.get("/health/ready").status_code == 503
    assert statuses
    assert set(statuses) == {200}
    assert podman("wait", played.container) == "0"
    assert time.monotonic() < told_s + float(settings()["SENTRYFUSE_GRACE_S"])  # was not cut off


def the_pod() -> Pod:
    (pod,) = pods(manifests("overlays/single-node"))
    return pod


def settings() -> dict[str, str]:
    return the_pod().settings(manifests("overlays/single-node"))
