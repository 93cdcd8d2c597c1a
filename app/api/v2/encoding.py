"""From an answer's tensors to the body of a response: JSON, binary or both."""

from __future__ import annotations

from typing import Any

import orjson

from app.protocol.tensors import BYTES, InferRequest, InferResponse, Tensor, to_bytes


def encode(response: InferResponse, request: InferRequest) -> tuple[bytes, int | None]:
    """Write a response as its request wants it.

    Returns:
        The body, and how many bytes of it are JSON; None for all.
    """
    all_binary = request.parameters.get("binary_data_output", False)
    binary = {
        output.name: output.parameters.get("binary_data", all_binary) for output in request.outputs
    }
    described, raw = [], []
    for tensor in response.outputs:
        if binary.get(tensor.name, all_binary):
            raw.append(to_bytes(tensor))
            described.append({**_head(tensor), "parameters": {"binary_data_size": len(raw[-1])}})
        else:
            described.append({**_head(tensor), "data": _values(tensor)})
    header = orjson.dumps(
        {
            "model_name": response.model_name,
            "model_version": response.model_version,
            **({} if response.id is None else {"id": response.id}),
            "parameters": response.parameters,
            "outputs": described,
        }
    )
    return (b"".join([header, *raw]), len(header)) if raw else (header, None)


def _head(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _values(tensor: Tensor) -> list[Any]:
    values: list[Any] = tensor.data.ravel().tolist()
    return [value.decode() for value in values] if tensor.datatype == BYTES else values
