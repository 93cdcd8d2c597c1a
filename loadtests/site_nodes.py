"""Nodes of a site: services that are killed and started again, weighed by the kernel's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException

from loadtests.server import Server, ServerError, started

_BETWEEN_READINGS_S = 0.1
_TIMEOUT_S = 1.0


class Node:
    """A node whose service may be killed and replaced at any time.

    Args:
        name: Of the node.
        policy: Schedules its service.
        settings: Of its service.
    """

    def __init__(self, name: str, policy: str, settings: Mapping[str, object]) -> None:
        self.name = name
        self.kills = 0
        self.server: Server | None = None
        self._policy = policy
        self._settings = settings
        self._past_cpu_s = 0.0
        self._guard = threading.Lock()
        self._running = ExitStack()

    def start(self) -> Server:
        """Start its service; it is not ready yet."""
        server = self._running.enter_context(started(self._policy, self._settings))
        with self._guard:
            self.server = server
        return server

    def kill(self) -> None:
        """Kill its service, and count that."""
        self.kills += 1
        self.end()

    def end(self) -> None:
        """End its service at once: it may be getting ready."""
        with self._guard:
            if self.server is not None:
                self._past_cpu_s += self.server.kill()
                self.server = None
        self._running.close()

    def cpu_s(self) -> float:
        """CPU seconds of all services that it has run."""
        with self._guard:
            return self._past_cpu_s + (0.0 if self.server is None else self.server.cpu_s())

    def lent_w(self) -> float | None:
        """What its service says it was lent; None if it does not answer."""
        server = self.server
        if server is None:
            return None
        try:
            site = server.power(timeout_s=_TIMEOUT_S)["site"]
        except (OSError, HTTPException, ServerError):
            return None
        return float(site["lent_w"])


@dataclass(frozen=True, slots=True)
class Weight:
    """CPU seconds of every node at a moment."""

    at_s: float
    """``time.monotonic()``."""
    cpu_s: tuple[float, ...]


@contextmanager
def weighed(nodes: Sequence[Node]) -> Iterator[list[Weight]]:
    """Read the nodes' CPU time ten times a second while the block runs."""
    weights: list[Weight] = []

    def weigh() -> None:
        weights.append(Weight(time.monotonic(), tuple(node.cpu_s() for node in nodes)))

    with _repeated(weigh, _BETWEEN_READINGS_S):
        yield weights
    weigh()


@contextmanager
def loans_seen(nodes: Sequence[Node]) -> Iterator[list[tuple[float, list[float | None]]]]:
    """Ask every node once a second what it was lent while the block runs."""
    loans: list[tuple[float, list[float | None]]] = []
    with _repeated(
        lambda: loans.append((time.monotonic(), [node.lent_w() for node in nodes])), 1.0
    ):
        yield loans


@contextmanager
def _repeated(act: Callable[[], None], every_s: float) -> Iterator[None]:
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            act()
            over.wait(every_s)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
