"""Visitors who come to a server for as long as it takes, and whoever watches it meanwhile."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.server import Server
from loadtests.visits import Visit, choices

_TIMEOUT_S = 10.0
_MOST_FAILURES_KEPT = 100
_BETWEEN_READINGS_S = 1.0
_BETWEEN_SCRAPES_S = 5.0
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A visit that did not end as it may."""

    at_s: float
    """By the monotonic clock."""
    kind: str
    path: str
    status: int
    """0 for no answer at all."""
    detail: str


@dataclass(slots=True)
class Ledger:
    """What became of all visits; one lock, for a few hundred entries a second."""

    seen: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Kind and status."""
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    slowest_s: dict[str, float] = field(default_factory=dict)
    """By kind."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def book(self, visit: Visit, status: int, took_s: float, detail: str) -> None:
        """Enter one visit."""
        with self._lock:
            self.seen[visit.kind, status] += 1
            self.slowest_s[visit.kind] = max(self.slowest_s.get(visit.kind, 0.0), took_s)
            if visit.leaves_after is not None or status in visit.allowed:
                return
            self.failed += 1
            if len(self.failures) < _MOST_FAILURES_KEPT:
                self.failures.append(
                    Failure(
                        at_s=time.monotonic(),
                        kind=visit.kind,
                        path=visit.path,
                        status=status,
                        detail=detail[:300],
                    )
                )


@dataclass(frozen=True, slots=True)
class Reading:
    """How large the server was at one moment."""

    at_s: float
    """By the monotonic clock."""
    resident_bytes: int


class Visitor:
    """Pays visits over one connection, which is kept as long as the server keeps it.

    Args:
        server: Whom to visit.
        ledger: Where each visit is entered.
    """

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self._server = server
        self._ledger = ledger
        self._connection = self._new()

    def pay(self, visit: Visit) -> None:
        """Send one request, and read its answer unless the visit is one that leaves."""
        began_s = time.monotonic()
        if visit.leaves_after is not None:
            self._leave(visit, visit.leaves_after)
            self._ledger.book(visit, 0, 0.0, "")
            return
        status, detail = 0, ""
        try:
            self._connection.request(visit.method, visit.path, visit.body, dict(visit.headers))
            response = self._connection.getresponse()
            content = response.read()
            status, detail = response.status, content[:300].decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            detail = f"{type(error).__name__}: {error}"
            self._connection.close()
            self._connection = self._new()
        self._ledger.book(visit, status, time.monotonic() - began_s, detail)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _new(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._server.host, self._server.port, timeout=_TIMEOUT_S)

    def _leave(self, visit: Visit, after: float) -> None:
        """Hang up in the middle of a request, or before its answer."""
        head = f"{visit.method} {visit.path} HTTP/1.1\r\nHost: soak\r\n"
        lines = {**visit.headers, "Content-Length": str(len(visit.body))}
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        address = (self._server.host, self._server.port)
        with socket.create_connection(address, timeout=_TIMEOUT_S) as leaving:
            leaving.sendall(head.encode() + visit.body[: int(after * len(visit.body))])


def probes() -> Sequence[Visit]:
    """What a cluster asks every second."""
    return [
        Visit(kind="probe", method="GET", path=path) for path in ("/health/live", "/health/ready")
    ]


SCRAPE = Visit(kind="scrape", method="GET", path="/metrics")


@contextmanager
def visited(
    server: Server,
    visits: Mapping[str, Sequence[Visit]],
    *,
    visitors: int,
    pause_s: float,
    seed: int,
) -> Iterator[tuple[Ledger, list[Reading]]]:
    """Have a server visited, probed, scraped and weighed while the block runs.

    Args:
        server: Ready for requests.
        visits: By kind.
        visitors: At the same time.
        pause_s: Mean pause of each between two visits.
        seed: Of the order of visits.

    Yields:
        What became of the visits, and how large the server was, both still growing.
    """
    ledger, readings, over = Ledger(), list[Reading](), threading.Event()

    def visit(number: int) -> None:
        chance = random.Random(seed + number)
        visitor = Visitor(server, ledger)
        for each in choices(visits, chance):
            if over.wait(chance.expovariate(1 / pause_s)):
                break
            visitor.pay(each)
        visitor.close()

    def watch() -> None:
        visitor, asked = Visitor(server, ledger), probes()
        scrape_s = 0.0
        while not over.wait(_BETWEEN_READINGS_S):
            for probe in asked:
                visitor.pay(probe)
            if time.monotonic() >= scrape_s:
                scrape_s = time.monotonic() + _BETWEEN_SCRAPES_S
                visitor.pay(SCRAPE)
            readings.append(Reading(time.monotonic(), resident_bytes(server.pid)))
        visitor.close()

    jobs: list[Callable[[], None]] = [watch, *(lambda n=n: visit(n) for n in range(visitors))]
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield ledger, readings
    finally:
        over.set()
        for thread in threads:
            thread.join(_TIMEOUT_S)


@contextmanager
def weighed(pid: int, *, every_s: float = _BETWEEN_READINGS_S) -> Iterator[list[Reading]]:
    """Weigh a process now and then while the block runs."""
    over, readings = threading.Event(), [Reading(time.monotonic(), resident_bytes(pid))]

    def weigh() -> None:
        while not over.wait(every_s):
            readings.append(Reading(time.monotonic(), resident_bytes(pid)))

    thread = threading.Thread(target=weigh, daemon=True)
    thread.start()
    try:
        yield readings
    finally:
        over.set()
        thread.join()


def resident_bytes(pid: int) -> int:
    """Memory that a process has in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
