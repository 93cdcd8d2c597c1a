"""The image that serves, run as it should be: nobody in particular, on a root it can't write."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import pytest

from tests.containers.image import Container, call_podman, image, podman, serving
from tests.integration.redis_server import free_port

__all__ = ["image"]

pytestmark = pytest.mark.timeout(1200)  # the first test builds the image, from nothing if need be


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[Container]:
    yield from serving(image, free_port(), "--memory=512m", allow_open="true")


def test_it_is_nobody_and_can_gain_nothing(container: Container) -> None:
    status = container.run("cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(facts["Uid"].split()) == set(facts["Gid"].split()) == {"10001"}
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"


def test_its_root_cannot_be_written(container: Container) -> None:
    refused = call_podman("exec", container.name, "touch", "/opt/sentryfuse/x")
    assert "Read-only file system" in refused.stderr


def test_it_has_no_torch_and_nothing_that_installs(container: Container) -> None:
    look = "from importlib.util import find_spec; print(*map(find_spec, ['torch', 'pip', 'redis']))"
    torch, pip, redis = container.run("python3", "-c", look).split(" ", 2)
    assert torch == pip == "None"
    assert redis.startswith("ModuleSpec")


def test_its_labels_say_what_it_is_and_what_it_stands_on(image: str) -> None:
    shown = podman("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    labels = {
        key.removeprefix("org.opencontainers.image."): v for key, v in json.loads(shown).items()
    }
    assert {"title", "description", "source", "documentation", "revision"} <= labels.keys()
    assert labels["version"] == version("sentryfuse")
    assert labels["base.name"] == "docker.io/library/python:3.11-slim-bookworm"


def test_it_answers_with_the_shipped_model(container: Container) -> None:
    window = container.client.get("/v1/models/dsads-maestro/sample?seed=1").json()
    answer = container.client.post("/v1/infer", json=window)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["label"]


def test_its_health_check_passes(container: Container) -> None:
    assert podman("healthcheck", "run", container.name) == ""


def test_it_fits_the_memory_that_the_docs_give_it(container: Container) -> None:
    status = container.run("cat", "/proc/1/status")
    (peak_kib,) = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert int(peak_kib) < 400 * 1024


def test_told_to_end_it_drains_and_ends_well(image: str) -> None:
    ending = Container(image, free_port(), allow_open="true", drain_s=10)
    try:
        ending.wait_until_ready()
        window = ending.client.get("/v1/models/dsads-maestro/sample").json()
        with ThreadPoolExecutor(max_workers=1) as pool:
            stopped = pool.submit(podman, "stop", "--time=60", ending.name, timeout_s=90)
            wait_for(lambda: ending.client.get("/health/ready").status_code == 503)
            answer = ending.client.post("/v1/infer", json=window)
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            stopped.result()
        assert ending.inspect(".State.ExitCode") == "0"
    finally:
        ending.remove()


def wait_for(condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_keys_it_does_not_open_itself_to_others(image: str) -> None:
    refused = call_podman("run", "--rm", "--network=none", "--health-interval=disable", image)
    assert refused.returncode == 1
    assert "0.0.0.0, which others can reach, and there are no API keys" in refused.stderr
