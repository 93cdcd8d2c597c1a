"""LitServe: how to install, start and ask it."""

from __future__ import annotations

from benchmarks.peers.bodies import listed_answer, nested, post_json
from benchmarks.peers.peer import Peer, Windows, requirements_file, server_file


def _message(windows: Windows) -> bytes:
    return post_json("/predict", {"inputs": nested(windows)})


PEER = Peer(
    name="litserve",
    title="LitServe",
    body="JSON",
    configuration="batches of up to 16 that wait 2 ms for company, a worker process for each core "
    "on one device, `fast_queue` (for hundreds of requests per second), its own number of API "
    "servers, no access log",
    advice="https://lightning.ai/docs/litserve/features/batching",
    requirements=requirements_file(__file__),
    command=lambda place: [place.python, server_file(__file__)],
    message=_message,
    answer=listed_answer,
)
