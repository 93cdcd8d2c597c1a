"""Inference over the native API: JSON both ways."""

from __future__ import annotations

import json
from typing import Any

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
    content: dict[str, Any] = {"inputs": {n: a.tolist() for n, a in windows.items()}}
    if request_id is not None:
        content["id"] = request_id
    return to_json(content)


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
