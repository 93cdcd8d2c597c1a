"""Runs several worker processes behind one listening socket, and replaces those that die."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from app.peers.rundir import RunDir
from app.processes.worker import Berth, work
from app.running.drain import refuse_connections
from app.settings import Settings
from app.telemetry.logs import configure_logging
from sentryfuse.errors import ConfigError

logger = logging.getLogger(__name__)

_BACKLOG = 2048
_TICK_S = 0.2
_SHORTEST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
_SETTLED_S = 60.0
_LAST_WORDS_S = 2.0
_ALONE_S = 300.0
"""How long the first worker has to measure the host before the others start all the same."""


@dataclass(slots=True)
class Post:
    """A slot, and whoever holds it."""

    berth: Berth
    process: SpawnProcess | None = None
    began_s: float = 0.0
    starts_s: float = 0.0
    """When its next worker may start."""
    backoff_s: float = _SHORTEST_BACKOFF_S
    was_ready: bool = False


class Supervisor:
    """Starts workers, watches them, passes signals on.

    The first worker starts alone: it measures the host if nobody has, and the others find that.

    Args:
        settings: Of the service; ``processes`` says how many.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._signals = 0
        self._passed_on = 0
        self._failed = 0

    def run(self) -> int:
        """Run until told to end; return the exit status."""
        configure_logging(self._settings.log_level)
        with (
            tempfile.TemporaryDirectory(prefix="sentryfuse-") as folder,
            self._listening() as listener,
            self._signals_noted(),
        ):
            self._rundir = RunDir(Path(folder))
            usable = sorted(os.sched_getaffinity(0))[: self._settings.cores or None]
            cores = shares_of(usable, self._settings.processes)
            self._posts = [
                Post(Berth(slot=slot, cores=share, rundir=folder, settings=self._settings))
                for slot, share in enumerate(cores)
            ]
            began_s = time.monotonic()
            while not self._signals and not self._failed:
                now_s = time.monotonic()
                alone = not self._posts[0].was_ready and now_s - began_s < _ALONE_S
                for post in self._posts[:1] if alone else self._posts:
                    self._mind(post, listener, now_s)
                self._wait()
            return self._end(listener)

    def _mind(self, post: Post, listener: socket.socket, now_s: float) -> None:
        process = post.process
        if process is None:
            if now_s >= post.starts_s:
                self._start(post, listener, now_s)
        elif process.exitcode is not None:
            self._replace(post, now_s)
        else:
            self._look_at(post, process, now_s)

    def _start(self, post: Post, listener: socket.socket, now_s: float) -> None:
        process = self._context.Process(target=work, args=(post.berth, listener), daemon=False)
        process.start()
        post.process, post.began_s = process, now_s
        logger.info("started process %d as %d", post.berth.slot + 1, process.pid)

    def _replace(self, post: Post, now_s: float) -> None:
        process = post.process
        assert process is not None
        slot = post.berth.slot
        self._rundir.bury(f"{slot}-{process.pid}")
        self._rundir.forget_state(slot)
        if not post.was_ready and process.exitcode and process.exitcode > 0:
            logger.error("process %d could not start", slot + 1)
            self._failed = process.exitcode
            return
        if now_s - post.began_s > _SETTLED_S:
            post.backoff_s = _SHORTEST_BACKOFF_S
        logger.error(
            "process %d ended with %s; another takes its place in %.1f s",
            *(slot + 1, process.exitcode, post.backoff_s),
        )
        post.starts_s = now_s + post.backoff_s
        post.backoff_s = min(2 * post.backoff_s, _LONGEST_BACKOFF_S)
        post.process = None

    def _look_at(self, post: Post, process: SpawnProcess, now_s: float) -> None:
        """Note when a worker is ready; kill one that is stuck."""
        state = self._rundir.states(len(self._posts))[post.berth.slot]
        if state is None or state.pid != process.pid:
            return
        post.was_ready |= state.ready
        silent_s = now_s - state.at_s
        if state.ailments or silent_s > self._settings.stuck_s:
            why = "; ".join(state.ailments) or f"it has not been heard of for {silent_s:.0f} s"
            logger.error("process %d is killed: %s", post.berth.slot + 1, why)
            process.kill()

    def _wait(self) -> None:
        """Sleep until a worker ends, or for a moment."""
        running = [p.process.sentinel for p in self._posts if p.process is not None]
        if running:
            wait(running, timeout=_TICK_S)
        else:
            time.sleep(_TICK_S)

    def _end(self, listener: socket.socket) -> int:
        """Have all workers end, in time and without losing who has connected."""
        began_s = time.monotonic()
        closes_s = began_s + (0.0 if self._failed else self._settings.drain_s)
        ends_s = began_s + self._settings.grace_s + _LAST_WORDS_S
        self._signals = max(self._signals, 1)
        running = [p.process for p in self._posts if p.process is not None]
        while any(process.exitcode is None for process in running):
            now_s = time.monotonic()
            if now_s >= closes_s:  # just before the workers stop to accept
                closes_s = math.inf
                refuse_connections(listener.fileno())
                listener.close()
            for _ in range(self._signals - self._passed_on):
                self._passed_on += 1
                for process in running:
                    if process.exitcode is None:
                        process.terminate()
            if now_s > ends_s:
                for process in running:
                    process.kill()
            left_s = max(min(closes_s - time.monotonic(), _TICK_S), 0.001)
            wait([p.sentinel for p in running if p.exitcode is None], timeout=left_s)
        return self._failed or max((abs(p.exitcode or 0) for p in running), default=0)

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """Open the socket that all workers accept from."""
        host, port = self._settings.host, self._settings.port
        try:
            address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listener = socket.create_server(
                address[4][:2], family=address[0], backlog=_BACKLOG, reuse_port=False
            )
        except OSError as error:
            raise ConfigError(
                f"SENTRYFUSE_HOST, SENTRYFUSE_PORT: {host}:{port}: {error}"
            ) from error
        listener.setblocking(False)
        logger.info("listening on %s:%d", host, listener.getsockname()[1])
        with listener:
            yield listener

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        def note(number: int, frame: FrameType | None) -> None:
            self._signals += 1

        before = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def shares_of(cores: Sequence[int], processes: int) -> list[tuple[int, ...]]:
    """Share cores out evenly, neighbours together; none where there are too few for that."""
    if len(cores) < processes:
        return [()] * processes
    bounds = [len(cores) * i // processes for i in range(processes + 1)]
    return [tuple(cores[begin:end]) for begin, end in pairwise(bounds)]
