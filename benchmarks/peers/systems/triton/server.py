"""Triton, as PyTriton brings it along: the real server, with its Python back end."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from dense_model import FOLDER, MOST_WINDOWS, DenseModel, cores, ports
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def instance() -> object:
    """One of several that Triton runs at the same time, with its own session."""
    model = DenseModel()

    @batch
    def infer(**windows: np.ndarray) -> list[np.ndarray]:
        return [model.run(windows)]

    return infer


if __name__ == "__main__":
    http, grpc, metrics = ports()[:3]
    model = DenseModel()
    config = TritonConfig(
        http_address="127.0.0.1", http_port=http, grpc_port=grpc, metrics_port=metrics
    )
    with Triton(config=config, workspace=Path(os.environ[FOLDER]) / "workspace") as triton:
        triton.bind(
            model_name="dense",
            infer_func=[instance() for _ in range(cores())],
            inputs=[
                Tensor(name=name, dtype=np.float32, shape=model.window_shape)
                for name in model.sensors
            ],
            outputs=[Tensor(name="logits", dtype=np.float32, shape=(-1,))],
            config=ModelConfig(max_batch_size=MOST_WINDOWS, batcher=DynamicBatcher()),
        )
        triton.serve()
