"""A load that moves from one node of a site to the next, whoever is there to answer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from loadtests.client import Shot, Target, client_process, replay
from loadtests.site_nodes import Node

_SLICE_S = 1.0
_TURN_S = 15.0
_LIGHT = 0.1  # of the rate, at the node that has a rest
_PAUSE_S = 0.1


def rate_of(index: int, nodes: int, at_s: float, rate_hz: float) -> float:
    """Requests per second at a node: one of them has a rest, each in its turn."""
    return _LIGHT * rate_hz if int(at_s / _TURN_S) % nodes == index else rate_hz


@contextmanager
def moving_load(
    nodes: Sequence[Node], message: bytes, *, rate_hz: float, seed: int
) -> Iterator[Counter[str]]:
    """Send requests to every node while the block runs.

    Args:
        nodes: Whom to.
        message: What.
        rate_hz: Of one node that has no rest.
        seed: Of the arrivals.

    Yields:
        Requests by what became of them; complete when the block has ended.
    """
    fates: Counter[str] = Counter()
    over = threading.Event()
    began_s = time.monotonic()
    with client_process(len(nodes)) as submit:

        def send(index: int) -> None:
            rng = np.random.default_rng((seed, index))
            while not over.is_set():
                server = nodes[index].server
                if server is None:
                    over.wait(_PAUSE_S)
                    continue
                hz = rate_of(index, len(nodes), time.monotonic() - began_s, rate_hz)
                times_s = np.sort(rng.uniform(0, _SLICE_S, rng.poisson(hz * _SLICE_S)))
                shots = [Shot(float(at_s), 0) for at_s in times_s]
                target = Target(host=server.host, port=server.port, connections=4, patience_s=2.0)
                try:
                    volley = submit(replay, target, (message,), shots, 0.0).result()
                except OSError:  # it is getting ready
                    over.wait(_PAUSE_S)
                    continue
                fates.update(str(o.status) if o.status else "lost" for o in volley.outcomes)

        threads = [threading.Thread(target=send, args=(index,)) for index in range(len(nodes))]
        for thread in threads:
            thread.start()
        try:
            yield fates
        finally:
            over.set()
            for thread in threads:
                thread.join()
