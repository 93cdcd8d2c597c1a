"""A server while it runs: all of its processes, what they hold and what they have used."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from uuid import uuid4

from benchmarks.peers.engine.dense_model import CORES, FOLDER, GRAPH, PORTS
from benchmarks.peers.peer import Peer, Place

_HOST = "127.0.0.1"
_READY_S = 90.0
_STOP_S = 3.0
_LOG_BYTES = 1500
_MARK = "PEER_RUN"
_TICKS_HZ = os.sysconf("SC_CLK_TCK")
_ENGINE = Path(__file__).parent / "engine"
_REPOSITORY = Path(__file__).parents[2]


class ServerError(RuntimeError):
    """A server did not start, or answered what it must not."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the processes of a server hold."""

    rss_bytes: int
    """Resident; what processes share is counted in each."""
    pss_bytes: int
    """Proportional; what processes share is counted once."""
    processes: int


class Running:
    """A server that was started.

    Its processes are found by a variable that they inherit: some systems start daemons that are
    nobody's children.

    Args:
        process: The one that was started.
        port: Where it takes requests.
        log: What it writes.
        mark: Value of the variable.
        started_s: When, by the monotonic clock.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log: Path, mark: str, started_s: float
    ) -> None:
        self.host, self.port = _HOST, port
        self._process, self._log, self._started_s = process, log, started_s
        self._mark = f"{_MARK}={mark}".encode()

    def ask(self, message: bytes, *, timeout_s: float = 10.0) -> tuple[Mapping[str, str], bytes]:
        """Send a whole request; return headers (lower case) and body of a 200.

        Raises:
            ServerError: It answers something else.
            OSError: It can't be reached.
        """
        head, _, body = message.partition(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = request.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        connection = HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ServerError(f"{path} answered {response.status}: {answer[:300]!r}")
        return {k.lower(): v for k, v in response.getheaders()}, answer

    def wait_for_an_answer(self, message: bytes) -> float:
        """Ask until there is a 200; return the seconds since it was started.

        Raises:
            ServerError: It ended, or there is none in time.
        """
        last: Exception | None = None
        while time.monotonic() < self._started_s + _READY_S:
            if self._process.poll() is not None:
                raise ServerError(f"it ended while it started: {self._last_words()}")
            try:
                self.ask(message)
            except (OSError, HTTPException, ServerError) as error:
                last = error
                time.sleep(0.02)
                continue
            return time.monotonic() - self._started_s
        raise ServerError(f"no answer in {_READY_S:g} s ({last}): {self._last_words()}")

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of all its processes that are alive."""
        total = 0
        for folder in self._processes():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(") ")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / _TICKS_HZ

    def memory(self) -> Memory:
        """What all its processes hold now."""
        rss = pss = count = 0
        for folder in self._processes():
            with suppress(OSError):
                lines = (folder / "smaps_rollup").read_text().splitlines()
                sizes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
                rss, pss, count = rss + sizes["Rss:"], pss + sizes["Pss:"], count + 1
        return Memory(1024 * rss, 1024 * pss, count)

    def stop(self) -> None:
        """End it and everything that it has started."""
        if self._process.poll() is None:
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_STOP_S)
        deadline_s = time.monotonic() + _STOP_S
        while (left := self._processes()) and time.monotonic() < deadline_s:
            for folder in left:
                with suppress(OSError):
                    os.kill(int(folder.name), signal.SIGKILL)
            time.sleep(0.05)
        self._process.wait()

    def _processes(self) -> list[Path]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    if self._mark in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(folder)
        return found

    def _last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_BYTES:]


@contextmanager
def running(
    peer: Peer, *, python: Path, graph: Path, models: Path, cache: Path, cores: int
) -> Iterator[Running]:
    """Run a server for a while; it gets ready when the block begins.

    Args:
        peer: What to run.
        python: Interpreter of its environment.
        graph: The dense graph.
        models: Directory of bundles.
        cache: A folder that stays from one start to the next.
        cores: How many workers it should have.
    """
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as name:
        place = Place(
            python=python,
            graph=graph.absolute(),
            models=models.absolute(),
            folder=Path(name),
            cache=cache.absolute(),
            ports=_free_ports(4),
            cores=cores,
        )
        mark, log = uuid4().hex, place.folder / "log"
        with log.open("wb") as output:
            started_s = time.monotonic()
            process = subprocess.Popen(
                list(peer.command(place)),
                env=_environment(peer, place, mark),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=place.folder,
                start_new_session=True,
            )
        server = Running(process, place.port, log, mark, started_s)
        try:
            yield server
        finally:
            server.stop()


def _environment(peer: Peer, place: Place, mark: str) -> dict[str, str]:
    """Ours without settings of the service, with what the server must know.

    Every server may keep what it compiled, as it does where it is installed: else those that are
    run from their sources would compile them at each start.
    """
    inherited = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("SENTRYFUSE_") and k != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(
            [str(_REPOSITORY), str(_ENGINE)] if peer.is_ours else [str(_ENGINE)]
        ),
        "PATH": os.pathsep.join([str(place.python.parent), os.environ.get("PATH", "")]),
        GRAPH: str(place.graph),
        PORTS: ",".join(map(str, place.ports)),
        CORES: str(place.cores),
        FOLDER: str(place.folder),
        _MARK: mark,
        **peer.environment(place),
    }


def _free_ports(count: int) -> tuple[int, ...]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for free in sockets:
            free.bind((_HOST, 0))
        return tuple(int(free.getsockname()[1]) for free in sockets)
    finally:
        for free in sockets:
            free.close()
