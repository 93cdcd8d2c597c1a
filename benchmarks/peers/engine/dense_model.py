"""The graph as every peer runs it: one ONNX Runtime session, one thread for each inference.

Imported in the environments of the peers, so it knows nothing but NumPy and ONNX Runtime. A peer
has as many workers as there are cores; a session that took several threads would only make them
wait for each other. All else is left as ONNX Runtime has it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from numpy.typing import NDArray

GRAPH = "PEER_GRAPH"
"""Environment variable: the ONNX file."""
PORTS = "PEER_PORTS"
"""Environment variable: free ports of 127.0.0.1; requests go to the first."""
CORES = "PEER_CORES"
"""Environment variable: how many workers to have."""
FOLDER = "PEER_FOLDER"
"""Environment variable: an empty folder for files of the server's own."""
MOST_WINDOWS = 16
"""Largest batch, for everybody who batches; what our service has by default."""
BATCH_DELAY_S = 0.002
"""How long to wait for company, for those who wait: a tenth of the deadline."""


def ports() -> list[int]:
    """The ports to listen on."""
    return [int(port) for port in os.environ[PORTS].split(",")]


def cores() -> int:
    """How many workers to have."""
    return int(os.environ[CORES])


class DenseModel:
    """The dense graph, ready to run; threads may share it.

    Args:
        graph: The ONNX file; that of the environment if not given.
    """

    def __init__(self, graph: Path | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = str(graph or os.environ[GRAPH])
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        self.sensors = [i.name for i in inputs]
        self.window_shape: tuple[int, int] = tuple(inputs[0].shape[1:])
        """Time, channels: the same for every sensor of the shipped bundle."""
        self.run({name: np.zeros((1, *self.window_shape), "f4") for name in self.sensors})

    def run(self, windows: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return logits ``[batch, classes]`` of windows by sensor, ``[batch, time, channels]``."""
        logits: NDArray[np.float32] = self._session.run(None, dict(windows))[0]
        return logits

    def run_stacked(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for windows ``[batch, sensors, time, channels]``."""
        by_sensor = {
            name: np.ascontiguousarray(windows[:, i]) for i, name in enumerate(self.sensors)
        }
        return self.run(by_sensor)

    def run_requests(
        self, requests: Sequence[Mapping[str, NDArray[np.float32]]]
    ) -> NDArray[np.float32]:
        """The same for requests with one window of each sensor, ``[time, channels]``."""
        return self.run({name: np.stack([r[name] for r in requests]) for name in self.sensors})
