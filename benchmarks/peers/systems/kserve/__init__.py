"""KServe's Python server: how to install, start and ask it."""

from __future__ import annotations

from benchmarks.peers.bodies import v2_answer, v2_binary
from benchmarks.peers.peer import Peer, Windows, requirements_file, server_file


def _message(windows: Windows) -> bytes:
    return v2_binary("/v2/models/dense/infer", windows, "logits")


PEER = Peer(
    name="kserve",
    title="KServe",
    body="binary",
    configuration="the Python server with a custom model, a worker for each core, no gRPC, no "
    "latency log; its batcher is a program of its own for the v1 protocol, which pip does not have",
    advice="https://kserve.github.io/website/0.12/python_runtime_api/docs/api/",
    requirements=requirements_file(__file__),
    command=lambda place: [place.python, server_file(__file__)],
    message=_message,
    answer=v2_answer,
)
