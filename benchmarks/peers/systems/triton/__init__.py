"""Triton: how to install, start and ask it."""

from __future__ import annotations

import sysconfig

from benchmarks.peers.bodies import v2_answer, v2_binary
from benchmarks.peers.peer import Peer, Windows, requirements_file, server_file


def _message(windows: Windows) -> bytes:
    return v2_binary("/v2/models/dense/infer", windows, "logits")


PEER = Peer(
    name="triton",
    title="Triton",
    body="binary",
    configuration="2.51 as PyTriton 0.7 brings it (its Python back end: that build has none for "
    "ONNX), dynamic batching of up to 16 without delay, an instance for each core",
    advice="https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/batcher.html",
    requirements=requirements_file(__file__),
    command=lambda place: [place.python, server_file(__file__)],
    # Its stub for Python is linked against the interpreter's library, wherever that is.
    environment=lambda place: {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))},
    message=_message,
    answer=v2_answer,
)
