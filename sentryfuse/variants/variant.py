"""A variant that runs: its card and an ONNX Runtime session."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import InputError
from sentryfuse.variants.card import VariantCard
from sentryfuse.variants.engine import Engine, onnxruntime, providers_of

Windows = Mapping[str, NDArray[np.float32]]


class Variant:
    """A pruned model, ready to run; any number of threads may share it.

    Args:
        card: What it costs.
        session: The engine that runs its graph.
    """

    def __init__(self, card: VariantCard, session: onnxruntime.InferenceSession) -> None:
        self.card = card
        self._session = session
        self._shapes = {i.name: tuple(i.shape[1:]) for i in session.get_inputs()}

    def run(self, inputs: Windows) -> NDArray[np.float32]:
        """Classify a batch of raw windows.

        Args:
            inputs: Windows by modality, ``[batch, length, channels]``; exactly the modalities
                of the card's presence.

        Returns:
            Logits, ``[batch, classes]``.

        Raises:
            InputError: A modality is missing or not this variant's, or a shape does not fit.
        """
        self._check(inputs)
        logits: NDArray[np.float32] = self._session.run(None, dict(inputs))[0]
        return logits

    def _check(self, inputs: Windows) -> None:
        if inputs.keys() != self._shapes.keys():
            raise InputError(f"expected windows of {sorted(self._shapes)}, got {sorted(inputs)}")
        batch = None
        for name, window in inputs.items():
            if window.dtype != np.float32:
                raise InputError(f"windows of {name} must be float32, got {window.dtype}")
            if window.ndim != 3 or window.shape[1:] != self._shapes[name]:
                expected = ("batch", *self._shapes[name])
                raise InputError(f"windows of {name} must be {expected}, got {window.shape}")
            if batch is None:
                batch = len(window)
            if len(window) != batch or not batch:
                raise InputError(f"windows of {name} are {len(window)}, others {batch}")


def open_session(
    graph: bytes, *, threads: int, engine: Engine = "cpu"
) -> onnxruntime.InferenceSession:
    """Load a graph into an engine that spends CPU time only while it computes.

    Raises:
        ConfigError: There is no such engine here.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # A thread that spins while it waits burns the energy that pruning saved.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The graph is written in the form that runs fastest; looking for a better one costs time.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Planning the reuse of buffers takes half of the loading time and saves nothing here.
    options.enable_mem_reuse = False
    # An arena of its own would make every variant hold the memory of its largest batch.
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(graph, options, providers=providers_of(engine))
    # The wrapper holds on to the graph in case providers change; that is megabytes per variant.
    session._model_bytes = None
    return session
