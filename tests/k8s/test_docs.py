"""What docs/kubernetes.md tells an operator to type, as far as it goes without a cluster."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from app.security.keyfile import read_keys
from loadtests.redis_server import free_port
from tests.k8s.manifests import INSTALLS, K8S, ROOT, kubectl, manifests, of_kind, pods
from tests.k8s.policy import SECRETS_OF_THE_OPERATOR, violations

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = [code for language, code in BLOCKS if language == "sh"]
HERE = [code for code in SCRIPTS if not re.search(r"(^|[|] *)(sudo|podman)", code, re.MULTILINE)]
SITE = next(code for language, code in BLOCKS if language == "yaml")

# Stands where a cluster would: makes secrets and renders folders for real, and takes down the rest.
CLUSTER = r"""
kubectl() {
    echo "$*" >> asked
    case "$*" in
        *"create secret"*--dry-run=client*) "$KUBECTL" "$@" ;;
        *"create secret"*) "$KUBECTL" "$@" --dry-run=client -o yaml > "secret-${@: -2:1}-$RANDOM" ;;
        "apply -k "*) test -f "$3/kustomization.yaml" ;;
        "apply -f -") cat > "applied-$RANDOM" ;;
        "kustomize "*) "$KUBECTL" "$@" ;;
        "get nodes "*) echo 192.0.2.7 ;;
    esac
}
curl() { echo "curl $*" >> asked; }
"""


@dataclass(frozen=True)
class Followed:
    """Where the page was followed from top to bottom."""

    folder: Path

    @property
    def asked(self) -> list[str]:
        """What the cluster was told."""
        return (self.folder / "asked").read_text().splitlines()

    @property
    def secrets(self) -> dict[str, Any]:
        """Secrets that were made, by name."""
        found = [yaml.safe_load(p.read_text()) for p in self.folder.glob("secret-*")]
        return {secret["metadata"]["name"]: secret for secret in found}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    folder = tmp_path_factory.mktemp("operator")
    (folder / "k8s").symlink_to(K8S)
    (folder / "site").mkdir()
    (folder / "site/kustomization.yaml").write_text(SITE)
    environment = os.environ | {
        "KUBECTL": kubectl(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", CLUSTER + "\n".join(HERE)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Followed(folder)


def test_every_overlay_is_applied_by_the_page(followed: Followed) -> None:
    applied = {line.split("/")[-1] for line in followed.asked if "-k k8s/overlays/" in line}
    assert applied == {*INSTALLS}
    for name in INSTALLS:
        assert f"| `{name}` |" in PAGE


def test_the_page_makes_every_secret_that_pods_wait_for(followed: Followed) -> None:
    assert {*followed.secrets} == SECRETS_OF_THE_OPERATOR | {"sentryfuse-scrape"}
    wanted = {"sentryfuse-keys": {"keys.json"}, "sentryfuse-redis": {"password", "users.acl"}}
    for name, keys in wanted.items():
        assert {*followed.secrets[name]["data"]} == keys


def test_redis_lets_the_service_in_with_its_secret_and_nobody_else(
    followed: Followed, tmp_path: Path
) -> None:
    secret = followed.secrets["sentryfuse-redis"]["data"]
    password, acl = (base64.b64decode(secret[key]).decode() for key in ("password", "users.acl"))
    (tmp_path / "users.acl").write_text(acl)
    with redis_of_the_cluster(tmp_path) as port:
        user = redis.Redis(port=port, username="sentryfuse", password=password, protocol=2)
        assert user.set("sentryfuse:1:x", b"mask", ex=60)
        assert user.mget(["sentryfuse:1:x"]) == [b"mask"]
        assert user.eval("return redis.call('get', KEYS[1])", 1, "sentryfuse:1:x") == b"mask"
        assert user.info("server")["run_id"]
        with pytest.raises(redis.exceptions.NoPermissionError):
            user.flushall()
        with pytest.raises(redis.exceptions.NoPermissionError):
            user.set("another", b"")
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=port, protocol=2).mget(["sentryfuse:1:x"])


@contextmanager
def redis_of_the_cluster(folder: Path) -> Iterator[int]:
    """A real redis-server with the overlay's configuration, and the ACL file of this folder."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    maps = of_kind(manifests("overlays/cluster"), "ConfigMap")
    (conf,) = (found["data"]["redis.conf"] for found in maps if "redis.conf" in found["data"])
    mounted = [line for line in conf.splitlines() if line.startswith(("aclfile", "dir"))]
    assert mounted == ["dir /tmp", "aclfile /etc/redis/acl/users.acl"]
    (folder / "redis.conf").write_text(conf)
    files = ["--dir", str(folder), "--aclfile", str(folder / "users.acl")]
    port = free_port()
    running = subprocess.Popen(
        [program, "redis.conf", *shlex.split(f"--port {port} --bind 127.0.0.1"), *files],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while not listens(port):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        running.kill()
        running.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_keys_that_it_makes_are_keys(followed: Followed) -> None:
    ring = read_keys(followed.folder / "keys.json")
    assert [key.name for key in ring.keys] == ["gateway", "gateway-2", "prometheus"]


def test_the_key_is_sent_to_the_port_that_the_node_has(followed: Followed) -> None:
    (line,) = (line for line in followed.asked if line.startswith("curl"))
    assert re.search(r"Bearer \S{40,} http://192\.0\.2\.7:30080/v1/models$", line)


def test_what_is_put_into_the_manifests_folder_is_the_overlay_and_the_secret(
    followed: Followed,
) -> None:
    objects = list(yaml.safe_load_all((followed.folder / "sentryfuse.yaml").read_text()))
    assert objects == manifests("overlays/single-node")
    secret = yaml.safe_load((followed.folder / "sentryfuse-keys.yaml").read_text())
    assert (secret["kind"], secret["metadata"]["namespace"]) == ("Secret", "sentryfuse")
    assert "sentryfuse.yaml sentryfuse-keys.yaml /var/lib/rancher" in PAGE


def test_a_kustomization_of_ones_own_keeps_the_rules(followed: Followed) -> None:
    objects = manifests(followed.folder / "site")
    assert violations(objects) == []
    (pod,) = (pod for pod in pods(objects) if pod.is_service)
    assert pod.spec["containers"][0]["image"] == "registry.site.example/sentryfuse:0.1.0"
    assert pod.settings(objects)["SENTRYFUSE_POWER_CAP_W"] == "12"
    assert pod.spec["volumes"][-1]["name"] == "powercap"


def test_every_component_is_described() -> None:
    for folder in (K8S / "components").iterdir():
        assert f"| `{folder.name}` |" in PAGE


@pytest.mark.parametrize("code", SCRIPTS)
def test_no_script_has_a_slip(code: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", code], check=False).returncode == 0
