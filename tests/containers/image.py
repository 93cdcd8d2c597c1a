"""The image, built once by docker/ci-image, and containers of it, for tests that run them.

Builds find the layers of the ones before, so that any number of test files may ask for the image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/sentryfuse:ci"
PROGRAMS = ("podman", "runc", "mmdebstrap")
CANNOT_MAKE_BASE = 75
BUILD_TIMEOUT_S = 900.0
READY_TIMEOUT_S = 120.0
HARDENED = (
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--health-interval=disable",  # there is no systemd to keep its time; tests ask for themselves
)


def call_podman(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Call podman as CI has to, whatever becomes of it."""
    command = [str(ROOT / "docker/podman"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def podman(*arguments: str, timeout_s: float = 60.0) -> str:
    """Call podman; return what it prints, or fail with what it says."""
    done = call_podman(*arguments, timeout_s=timeout_s)
    assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.returncode}: {done.stderr}"
    return done.stdout.strip()


def build_image(target: str = "serve", image: str = IMAGE) -> str:
    """Build a target of docker/Dockerfile, or skip where that can't be; return the image's id."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"containers need root and podman, runc, mmdebstrap; missing: {missing}")
    done = subprocess.run(
        [ROOT / "docker/ci-image", target, image],
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode == CANNOT_MAKE_BASE:
        pytest.skip(f"no base image can be made here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def image() -> str:
    """The id of the image that serves; it is also there as ``localhost/sentryfuse:ci``."""
    return build_image()


class Container:
    """One container of the image, serving on a port of its own."""

    def __init__(self, image: str, port: int, *options: str, **settings: object) -> None:
        self.name = f"sentryfuse-{uuid4().hex[:12]}"
        self.url = f"http://127.0.0.1:{port}"
        named = {"port": port, **settings}
        variables = [f"--env=SENTRYFUSE_{n.upper()}={value}" for n, value in named.items()]
        options = (*HARDENED, "--network=host", *variables, *options)
        podman("run", "--detach", "--name", self.name, *options, image)
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def inspect(self, what: str) -> str:
        """One fact, as podman's templates name it: ``.State.Pid``."""
        return podman("inspect", "--format", f"{{{{{what}}}}}", self.name)

    def run(self, *command: str) -> str:
        """Run a command inside; return what it prints."""
        return podman("exec", self.name, *command)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready: {podman('logs', self.name)[-2000:]}")

    def remove(self) -> None:
        self.client.close()
        call_podman("rm", "--force", "--time=0", "--volumes", self.name)


def serving(image: str, port: int, *options: str, **settings: object) -> Iterator[Container]:
    """A container that is ready, and gone afterwards."""
    container = Container(image, port, *options, **settings)
    try:
        container.wait_until_ready()
        yield container
    finally:
        container.remove()
