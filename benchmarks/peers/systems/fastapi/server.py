"""FastAPI with pydantic and ONNX Runtime, as most people write it."""

from __future__ import annotations

import numpy as np
from dense_model import DenseModel
from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    """One window of each sensor, ``[time, channels]``."""

    inputs: dict[str, list[list[float]]]


class Prediction(BaseModel):
    """What the model says."""

    logits: list[float]


app = FastAPI()
model = DenseModel()


@app.post("/predict")
def predict(request: Request) -> Prediction:
    """Classify one window."""
    windows = {name: np.asarray([rows], np.float32) for name, rows in request.inputs.items()}
    return Prediction(logits=model.run(windows)[0].tolist())
