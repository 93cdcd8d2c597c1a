"""Inference over the native API: JSON both ways."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.client.arrays import Windows
from app.client.reading import load_json, read
from app.client.values import Answer
from app.client.wire import Reply

CONTENT_TYPE = "application/json"


def encode(windows: Windows, request_id: str | None) -> bytes:
    """Write a request.

    Args:
        windows: Those that are there.
        request_id: Comes back in the answer.
    """
    content: dict[str, Any] = {"inputs": {n: _rows(a) for n, a in windows.items()}}
    if request_id is not None:
        content["id"] = request_id
    return to_json(content)


def _rows(window: NDArray[np.float32]) -> list[Any]:
    """Nested lists; a value that was not measured, NaN, is null."""
    missing = np.isnan(window)
    rows: list[Any] = (np.where(missing, None, window) if missing.any() else window).tolist()  # type: ignore[call-overload]
    return rows


def to_json(content: object) -> bytes:
    """Write JSON without spaces."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def decode(reply: Reply) -> Answer:
    """Read an answer.

    Raises:
        ProtocolError: It is not one.
    """
    content = load_json(reply)
    if isinstance(content, dict):
        content = {**content, "request_id": reply.headers.get("x-request-id")}
    return read(Answer, content)
