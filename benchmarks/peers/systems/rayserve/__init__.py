"""Ray Serve: how to install, start and ask it."""

from __future__ import annotations

from benchmarks.peers.bodies import post, raw_answer, stacked
from benchmarks.peers.peer import Peer, Place, Windows, requirements_file, server_file


def _environment(place: Place) -> dict[str, str]:
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        # As its page on performance has it. Direct ingress is left out: it wants HAProxy in front.
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    }


def _message(windows: Windows) -> bytes:
    body = stacked(windows).astype("<f4").tobytes()
    return post("/predict", body, "application/octet-stream", {})


PEER = Peer(
    name="rayserve",
    title="Ray Serve",
    body="binary",
    configuration="`serve.batch` of up to 16 that waits 2 ms, a replica with one CPU for each "
    "core, 100 requests under way in each, `RAY_SERVE_THROUGHPUT_OPTIMIZED` without direct ingress "
    "(which wants HAProxy), bodies read as bytes, no dashboard, no access log",
    advice="https://docs.ray.io/en/latest/serve/advanced-guides/performance.html",
    requirements=requirements_file(__file__),
    command=lambda place: [place.python, server_file(__file__)],
    environment=_environment,
    message=_message,
    answer=raw_answer,
)
