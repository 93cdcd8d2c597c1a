"""Requests as bytes and answers as arrays, for the protocols that the systems speak."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.peers.peer import Windows

LENGTH_HEADER = "Inference-Header-Content-Length"
DECIMALS = 4
"""What a sensor delivers; more would make JSON longer than it has to be."""


def post(path: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def post_json(path: str, content: object, **headers: str) -> bytes:
    """A request with a JSON body; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return post(path, orjson.dumps(content), "application/json", named)


def nested(windows: Windows) -> dict[str, list[list[float]]]:
    """Windows as nested lists of numbers with as many digits as they need."""
    return {name: rounded(w).tolist() for name, w in windows.items()}


def stacked(windows: Windows) -> NDArray[np.float32]:
    """One array ``[sensors, time, channels]``."""
    return np.stack(list(windows.values()))


def rounded(array: NDArray[np.float32]) -> NDArray[np.float64]:
    """Numbers that are written with few digits."""
    return array.astype(float).round(DECIMALS)


def v2_json(path: str, windows: Windows) -> bytes:
    """Open Inference Protocol, numbers as JSON, flat as its clients write them."""
    inputs = [{**_described(n, w), "data": rounded(w).ravel().tolist()} for n, w in windows.items()]
    return post_json(path, {"inputs": inputs})


def v2_binary(path: str, windows: Windows, output: str, **headers: str) -> bytes:
    """Open Inference Protocol with its binary tensor extension, both ways."""
    raw = [w.astype("<f4").tobytes() for w in windows.values()]
    inputs = [
        {**_described(name, w), "parameters": {"binary_data_size": len(data)}}
        for (name, w), data in zip(windows.items(), raw, strict=True)
    ]
    outputs = [{"name": output, "parameters": {"binary_data": True}}]
    head = orjson.dumps({"inputs": inputs, "outputs": outputs})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return post(
        path,
        b"".join([head, *raw]),
        "application/octet-stream",
        {LENGTH_HEADER: str(len(head)), **named},
    )


def _described(name: str, window: NDArray[np.float32]) -> dict[str, object]:
    return {"name": name, "datatype": "FP32", "shape": [1, *window.shape]}


def v2_answer(headers: Mapping[str, str], body: bytes) -> NDArray[np.float32]:
    """The only output of an answer, JSON or binary."""
    length = headers.get(LENGTH_HEADER.lower())
    head = json.loads(body if length is None else body[: int(length)])
    if length is None:
        (output,) = head["outputs"]
        return np.array(output["data"], "f4").ravel()
    return np.frombuffer(body[int(length) :], "<f4")


def listed_answer(headers: Mapping[str, str], body: bytes) -> NDArray[np.float32]:
    """Numbers as a JSON list, bare or as ``logits`` of an object."""
    content = json.loads(body)
    return np.array(content["logits"] if isinstance(content, dict) else content, "f4").ravel()


def raw_answer(headers: Mapping[str, str], body: bytes) -> NDArray[np.float32]:
    """Numbers as bytes."""
    return np.frombuffer(body, "<f4")
