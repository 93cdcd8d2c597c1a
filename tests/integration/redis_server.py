"""A real redis-server for each test that asks, on a free port, and nothing it did not start."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import redis

START_DEADLINE_S = 20.0


@dataclass
class RedisServer:
    """One running redis-server and what a test may do to it."""

    port: int
    process: subprocess.Popen[bytes]
    password: str | None = None

    @property
    def url(self) -> str:
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A patient, synchronous client of its own, to look behind the cache's back."""
        return redis.Redis(port=self.port, password=self.password, socket_timeout=10)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


StartRedis = Callable[..., RedisServer]


def start_server(folder: Path, *options: str, password: str | None = None) -> RedisServer:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--appendonly", "no", "--daemonize", "no", "--dir", str(folder), *options]
    if password:
        command += ["--requirepass", password]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = RedisServer(port, process, password)
    wait_until_it_answers(server)
    return server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(server: RedisServer) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    with server.client() as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if server.process.poll() is not None or time.monotonic() > deadline:
                    server.kill()
                    raise
                time.sleep(0.02)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One healthy server shared by all tests: each keeps to keys of its own."""
    server = start_server(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    """Starts servers that a test may maltreat."""
    started: list[RedisServer] = []

    def start(*options: str, password: str | None = None) -> RedisServer:
        started.append(start_server(tmp_path, *options, password=password))
        return started[-1]

    yield start
    for server in started:
        server.resume()
        server.kill()


@pytest.fixture
def bundle_digest() -> str:
    """A digest that no other test has: the key prefix of this test alone."""
    return uuid4().hex
