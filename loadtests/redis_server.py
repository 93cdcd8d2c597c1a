"""A real redis-server in a process of its own, and what a test may do to it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

_HOST = "127.0.0.1"
_START_S = 20.0


class NoRedisError(RuntimeError):
    """There is no redis-server on this machine."""


@dataclass
class RedisServer:
    """One redis-server, started anew as often as it is killed."""

    folder: Path
    options: tuple[str, ...] = ()
    password: str | None = None
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, with the password that it was started with."""
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}{_HOST}:{self.port}/0"

    def client(self) -> redis.Redis:
        """A patient, synchronous client of its own, to look behind the service's back."""
        return redis.Redis(port=self.port, password=self.password, socket_timeout=10)

    def start(self) -> None:
        """Run it, empty, and return once it answers.

        Raises:
            NoRedisError: It is not installed.
        """
        binary = shutil.which("redis-server")
        if binary is None:
            raise NoRedisError("redis-server is not installed (apt-get install redis-server)")
        command = [binary, "--port", str(self.port), "--bind", _HOST, "--save", ""]
        command += ["--appendonly", "no", "--daemonize", "no", "--dir", str(self.folder)]
        if self.password:
            command += ["--requirepass", self.password]
        self.process = subprocess.Popen(
            [*command, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_until_it_answers(self.process)

    def pause(self) -> None:
        """Stop the process where it is: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a farewell; what it held is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + _START_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    if process.poll() is not None or time.monotonic() > deadline_s:
                        self.kill()
                        raise
                    time.sleep(0.02)


@contextmanager
def redis_running(
    folder: Path, *options: str, password: str | None = None
) -> Iterator[RedisServer]:
    """Run a server while the block does.

    Args:
        folder: Its working directory.
        options: Further ones of its command line.
        password: Asked of every client.
    """
    server = RedisServer(folder, options, password)
    server.start()
    try:
        yield server
    finally:
        server.resume()
        server.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
