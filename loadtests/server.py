"""The real server, in a process of its own, on a free port."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

_HOST = "127.0.0.1"
_READY_S = 120.0
_STOP_S = 30.0
_LOG_BYTES = 4000  # of the log, shown when the server fails

Settings = Mapping[str, object]
"""Settings of the service by lower-case name, without their prefix."""


class ServerError(RuntimeError):
    """The server under test did not start, or answered what it must not."""


class Server:
    """A running server and what a load test asks of it beside inference.

    Args:
        process: Its process.
        port: Where it listens.
        log: What it writes.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.host = _HOST
        self.port = port
        self.pid = process.pid
        self.ended_s = math.inf
        """When it ended, by the monotonic clock."""
        self._process = process
        self._log = log
        self._killed = False

    def ask(
        self, method: str, path: str, content: object = None, *, timeout_s: float = 10.0
    ) -> bytes:
        """Return the body of a 200.

        Raises:
            ServerError: It answers something else.
            OSError: It can't be reached.
        """
        body = None if content is None else json.dumps(content)
        connection = HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ServerError(f"{method} {path} answered {response.status}: {answer[:500]!r}")
        return answer

    def power(self, *, timeout_s: float = 10.0) -> dict[str, Any]:
        """``GET /v1/power``."""
        answer: dict[str, Any] = json.loads(self.ask("GET", "/v1/power", timeout_s=timeout_s))
        return answer

    def set_cap(self, cap_w: float | None) -> None:
        """``PUT /v1/power``; null lifts the cap."""
        self.ask("PUT", "/v1/power", {"cap_w": cap_w})

    def wait_until_ready(self) -> None:
        """Return once it wants requests.

        Raises:
            ServerError: It ended, or is not ready after two minutes.
        """
        deadline_s = time.monotonic() + _READY_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise ServerError(f"the server ended while it started: {self._last_words()}")
            try:
                self.ask("GET", "/health/ready")
            except (OSError, HTTPException, ServerError):
                time.sleep(0.05)
                continue
            return
        raise ServerError(f"the server was not ready in {_READY_S:g} s: {self._last_words()}")

    def stop(self) -> None:
        """Let it finish and end.

        Raises:
            ServerError: It did not end as one that was asked to.
        """
        if self._killed:
            return
        if self._process.poll() is None:
            self._process.terminate()
        try:
            status = self._process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise ServerError(f"the server did not stop: {self._last_words()}") from None
        self.ended_s = min(self.ended_s, time.monotonic())
        if status:
            raise ServerError(f"the server ended with status {status}: {self._last_words()}")

    def cpu_s(self) -> float:
        """CPU seconds that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2]
        return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> float:
        """End it without a farewell; return all CPU seconds that it took."""
        self._process.send_signal(signal.SIGSTOP)  # so that it takes no more than is read
        taken_s = self.cpu_s()
        self._killed = True
        self._process.kill()
        self._process.wait()
        self.ended_s = min(self.ended_s, time.monotonic())
        return taken_s

    def exit_status(self) -> int:
        """With what it ended."""
        return self._process.wait(timeout=_STOP_S)

    def _last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_BYTES:]


@contextmanager
def running(
    policy: str, settings: Settings, *, on_cores: Iterable[int] | None = None
) -> Iterator[Server]:
    """Run a server for a while; it is ready when the block begins.

    Args:
        policy: Name of the policy that schedules.
        settings: Of the service; nothing else is taken from the environment.
        on_cores: Cores that it may use; None for all.
    """
    with started(policy, settings, on_cores=on_cores) as server:
        server.wait_until_ready()
        yield server


@contextmanager
def started(
    policy: str, settings: Settings, *, on_cores: Iterable[int] | None = None
) -> Iterator[Server]:
    """Run a server for a while; it gets ready when the block begins.

    Args:
        policy: Name of the policy that schedules.
        settings: Of the service; nothing else is taken from the environment.
        on_cores: Cores that it may use; None for all.
    """
    with tempfile.TemporaryDirectory(prefix="loadtest-") as folder:
        port = _free_port()
        log = Path(folder) / "log"
        chosen = {"host": _HOST, "port": port, "access_log": False, **settings}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTRYFUSE_")}
        environment["SENTRYFUSE_MAX_CLIENT_CONNECTIONS"] = (
            "0"  # every client of a test is this host
        )
        environment |= {f"SENTRYFUSE_{k.upper()}": str(v) for k, v in chosen.items()}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "loadtests.launch", policy],
                env=environment,
                stdout=stderr,
                stderr=stderr,
            )
        if on_cores is not None:  # long before it starts a thread
            os.sched_setaffinity(process.pid, on_cores)
        server = Server(process, port, log)
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_HOST, 0))
        port: int = free.getsockname()[1]
        return port
