"""Inference over the Open Inference Protocol with its binary tensor extension.

Sensor data go as their bytes behind a short JSON header, which spares the service most of its
reading. The answer is JSON: the likeliest classes, and plan and receipt as JSON in a string.
"""

from __future__ import annotations

import json
from typing import Any

from app.client.arrays import Windows
from app.client.errors import ProtocolError
from app.client.native import to_json
from app.client.reading import load_json, read
from app.client.values import Answer
from app.client.wire import Reply

LENGTH_HEADER = "Inference-Header-Content-Length"
_TOP_K = 3
_OUTPUTS = [{"name": "probabilities", "parameters": {"classification": _TOP_K}}]


def encode(windows: Windows, request_id: str | None) -> tuple[bytes, dict[str, str]]:
    """Write a request; return its body and the headers that describe it.

    Args:
        windows: Those that are there; little-endian, rows first.
        request_id: Comes back in the answer.
    """
    inputs = [
        {
            "name": name,
            "datatype": "FP32",
            "shape": window.shape,
            "parameters": {"binary_data_size": window.nbytes},
        }
        for name, window in windows.items()
    ]
    named = {} if request_id is None else {"id": request_id}
    header = to_json({**named, "inputs": inputs, "outputs": _OUTPUTS})
    headers = {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(header))}
    return b"".join([header, *(window.tobytes() for window in windows.values())]), headers


def decode(reply: Reply) -> Answer:
    """Read an answer.

    Raises:
        ProtocolError: It is not one.
    """
    content = load_json(reply)
    try:
        parameters, (output,) = content["parameters"], content["outputs"]
        top_k = output["shape"][1]
        guesses = [_guess(text) for text in output["data"]]
        members = {
            "model": content["model_name"],
            "version": content["model_version"],
            "id": content.get("id"),
            "predictions": [
                {**guesses[i], "top": guesses[i : i + top_k]} for i in range(0, len(guesses), top_k)
            ],
            "plan": json.loads(parameters["plan"]),
            "receipt": json.loads(parameters["receipt"]),
            "request_id": reply.headers.get("x-request-id"),
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"the answer is not understood: {error!r}") from error
    return read(Answer, members)


def _guess(text: str) -> dict[str, Any]:
    """Read ``probability:index:label``; a label may hold colons of its own."""
    probability, index, label = text.split(":", 2)
    return {"label": label, "index": int(index), "probability": float(probability)}
