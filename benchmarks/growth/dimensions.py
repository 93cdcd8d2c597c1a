"""What grows: sensors, windows, models, requests under way, connections."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth.material import (
    dense_flops,
    dropping_messages,
    full_message,
    set_messages,
    sized_bundle,
    write_model,
)
from benchmarks.growth.point import Point, Stretch, stretch_of
from loadtests.client import Shot, Target, replay, saturate
from loadtests.contenders import OURS
from loadtests.messages import budget_headers
from loadtests.play.crowd import write_copies
from loadtests.server import Server, started
from loadtests.soaking import resident_bytes
from loadtests.trial import Submit
from sentryfuse.bundle import Bundle, read_bundle

WHOLE = "all sensors"
DROPPING = "sensors drop out"
STRICT = "sensors drop out, 50 ms, strict"
"""Kinds of requests."""

DEADLINE_S = 0.05
_DROPPING = 200  # messages that are sent in turn
_SETS = 40  # of sensors, each asked for again and again within a stretch
_STRICT_HZ = 80.0
_SET_SENSORS = 8
_NEW_SETS_HZ = 30.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where curves are measured.

    Args:
        submit: Runs the client in its own process.
        shipped: Directory of the bundle that is shipped.
        seconds: Length of a stretch.
        profiles: Directory of host profiles that all servers share.
    """

    submit: Submit
    shipped: Path
    seconds: float
    profiles: Path

    def one_client(self, server: Server, messages: Sequence[bytes]) -> Stretch:
        """One request after the other, for a while."""
        return self.many_clients(server, messages, in_flight=1)

    def many_clients(self, server: Server, messages: Sequence[bytes], in_flight: int) -> Stretch:
        """So many requests under way, always."""
        target = Target(host=server.host, port=server.port, connections=in_flight, patience_s=30.0)
        volley = self.submit(
            saturate, target, tuple(messages), in_flight=in_flight, seconds=self.seconds
        )
        return stretch_of(volley.result())

    def steady(
        self, server: Server, messages: Sequence[bytes], *, rate_hz: float, connections: int
    ) -> Stretch:
        """Requests at random times over so many connections, messages and they in turn."""
        rng = np.random.default_rng(connections)
        times_s = np.sort(rng.uniform(0.0, self.seconds, int(rate_hz * self.seconds)))
        target = Target(host=server.host, port=server.port, connections=connections, in_turn=True)
        shots = [Shot(float(at_s), i % len(messages)) for i, at_s in enumerate(times_s)]
        return stretch_of(self.submit(replay, target, tuple(messages), shots, 0.0).result())

    @contextmanager
    def server(self, models: Path, **settings: object) -> Iterator[tuple[Server, float]]:
        """Run a server with the service's own settings; yield it with its time to ready."""
        chosen = {"models": models, "profiles": self.profiles, **settings}
        began_s = time.monotonic()
        with started(OURS, chosen) as server:
            server.wait_until_ready()
            yield server, time.monotonic() - began_s

    def point(
        self,
        size: float,
        models: Path,
        stretches: Mapping[str, Callable[[Server], Stretch]],
        *,
        flops: int = 0,
        **settings: object,
    ) -> Point:
        """Start a server and ask it in one way after the other."""
        with self.server(models, **settings) as (server, ready_s):
            idle_bytes = resident_bytes(server.pid)
            found = {name: ask(server) for name, ask in stretches.items()}
            return Point(
                size=size,
                ready_s=ready_s,
                idle_bytes=idle_bytes,
                loaded_bytes=resident_bytes(server.pid),
                stretches=found,
                flops=flops,
            )


def modalities(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Sensors of the model: all in each request, then a random set in each."""
    for size in sizes:
        yield _of_bundle(ground, size, sized_bundle(size))


def windows(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Samples in a window; patches grow with it, so that there are never more than 25."""
    for size in sizes:
        yield _of_bundle(ground, size, sized_bundle(length=size), dropping=False)


def tokens(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Samples in a window, in patches of five: attention sees a fifth as many tokens."""
    for size in sizes:
        yield _of_bundle(ground, size, sized_bundle(length=size, patch=5), dropping=False)


def sets(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Different sets of eight sensors that were asked for, on one server, since it began."""
    bundle = sized_bundle(_SET_SENSORS)
    messages = set_messages(bundle, max(sizes))
    with tempfile.TemporaryDirectory() as folder:
        write_model(bundle, Path(folder))
        with ground.server(Path(folder)) as (server, ready_s):
            idle_bytes = resident_bytes(server.pid)
            asked = 0
            for size in sizes:
                target = Target(host=server.host, port=server.port, connections=1)
                shots = [Shot(i / _NEW_SETS_HZ, i) for i in range(size - asked)]
                ground.submit(replay, target, messages[asked:size], shots, 0.0).result()
                asked = size
                yield Point(
                    size=size,
                    ready_s=ready_s,
                    idle_bytes=idle_bytes,
                    stretches={WHOLE: ground.one_client(server, messages[:size])},
                    loaded_bytes=resident_bytes(server.pid),
                )


def models(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Models on one server, like the one that is shipped; each is asked in turn."""
    bundle = read_bundle(ground.shipped)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            names = write_copies(bundle, Path(folder), size)
            whole = [full_message(bundle, model=name) for name in names]
            dropping = _shuffled(
                [
                    message
                    for name in names
                    for message in dropping_messages(bundle, -(-_DROPPING // size), model=name)
                ]
            )
            yield ground.point(
                size,
                Path(folder),
                {
                    WHOLE: lambda server, sent=whole: ground.one_client(server, sent),
                    DROPPING: lambda server, sent=dropping: ground.one_client(server, sent),
                },
            )


def queue(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Requests under way at once, without a deadline: they wait for each other."""
    yield from _on_one_server(
        ground,
        sizes,
        lambda server, message, size: ground.many_clients(server, [message], in_flight=size),
        max_queue=4096,
        max_connections=8192,
    )


def connections(ground: Ground, sizes: Sequence[int]) -> Iterator[Point]:
    """Open connections that are used in turn, at the same 100 requests per second."""
    yield from _on_one_server(
        ground,
        sizes,
        lambda server, message, size: ground.steady(
            server, [message], rate_hz=100.0, connections=size
        ),
        max_connections=8192,
    )


def _on_one_server(
    ground: Ground,
    sizes: Sequence[int],
    ask: Callable[[Server, bytes, int], Stretch],
    **settings: Any,
) -> Iterator[Point]:
    bundle = read_bundle(ground.shipped)
    message = full_message(bundle)
    name = ground.shipped.parent.name
    with ground.server(ground.shipped.parent.parent, default_model=name, **settings) as (
        server,
        ready_s,
    ):
        ground.one_client(server, [message])
        idle_bytes = resident_bytes(server.pid)
        for size in sizes:
            stretch = ask(server, message, size)
            yield Point(
                size=size,
                ready_s=ready_s,
                idle_bytes=idle_bytes,
                loaded_bytes=resident_bytes(server.pid),
                stretches={WHOLE: stretch},
            )


def _of_bundle(ground: Ground, size: int, bundle: Bundle, *, dropping: bool = True) -> Point:
    with tempfile.TemporaryDirectory() as folder:
        write_model(bundle, Path(folder))
        whole = [full_message(bundle)]
        asked: dict[str, Callable[[Server], Stretch]] = {
            WHOLE: lambda server: ground.one_client(server, whole)
        }
        if dropping:
            sets = dropping_messages(bundle, _DROPPING)
            headers = budget_headers(latency_s=DEADLINE_S, strict=True)
            strict = dropping_messages(bundle, _SETS, headers=headers)
            # First, while the only variants in memory are those that a service begins with.
            asked = {
                STRICT: lambda server: ground.steady(
                    server, strict, rate_hz=_STRICT_HZ, connections=16
                ),
                **asked,
                DROPPING: lambda server: ground.one_client(server, sets),
            }
        return ground.point(size, Path(folder), asked, flops=dense_flops(bundle))


def _shuffled(messages: list[bytes]) -> list[bytes]:
    order = np.random.default_rng(0).permutation(len(messages))
    return [messages[i] for i in order]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """Something that grows."""

    measure: Callable[[Ground, Sequence[int]], Iterator[Point]]
    sizes: tuple[int, ...]
    label: str
    """Of its axis."""


DIMENSIONS = {
    "modalities": Dimension(measure=modalities, sizes=(2, 4, 6, 8, 10), label="sensors"),
    "windows": Dimension(
        measure=windows, sizes=(64, 128, 256, 512, 1024), label="samples in a window"
    ),
    "tokens": Dimension(
        measure=tokens, sizes=(64, 128, 256, 512, 1024), label="samples, in patches of five"
    ),
    "models": Dimension(measure=models, sizes=(1, 2, 5, 10, 20), label="models"),
    "sets": Dimension(
        measure=sets, sizes=(16, 48, 96, 160, 255), label="sets of eight sensors asked for"
    ),
    "queue": Dimension(measure=queue, sizes=(1, 4, 16, 64, 256, 1000), label="requests under way"),
    "connections": Dimension(
        measure=connections, sizes=(1, 10, 100, 500, 1000, 2000), label="connections"
    ),
}
