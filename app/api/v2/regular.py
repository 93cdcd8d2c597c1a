"""The fast way from JSON to tensors, for requests with nothing odd about them.

As in `app.api.regular`, simdjson writes numbers straight into a buffer and flattens as it goes;
the shape is checked beside, by the length of every row and by the number of brackets.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np
import simdjson

from app.protocol.tensors import NUMBERS, InferRequest, RequestedOutput, Tensor

_KEPT_BYTES = 2**20
_SCALAR = str | int | float | bool


class RegularJson:
    """Reads requests. Used by the event loop alone, never across an await."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()  # keeps its buffers between requests

    def read(self, body: bytes) -> InferRequest | None:
        """Read a request; None for one that is wrong, or merely unusual."""
        parser = self._parser if len(body) <= _KEPT_BYTES else simdjson.Parser()
        try:
            return _read(parser.parse(body), body)
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError):
            return None


def _read(document: Any, body: bytes) -> InferRequest | None:
    tensors: list[Tensor] = []
    brackets = 1
    for item in document["inputs"]:
        tensor, arrays = _tensor(item)
        tensors.append(tensor)
        brackets += 1 + arrays
    request_id, parameters, outputs = (document.get(k) for k in ("id", "parameters", "outputs"))
    parameters = {} if parameters is None else parameters.as_dict()
    brackets += outputs is not None
    if body.count(b"[") != brackets or not isinstance(request_id, str | None):
        return None
    if not all(isinstance(value, _SCALAR) for value in parameters.values()):
        return None
    if not isinstance(parameters.get("binary_data_output", False), bool):
        return None
    return InferRequest(
        inputs=tuple(tensors),
        outputs=() if outputs is None else tuple(map(_output, outputs)),
        id=request_id,
        parameters=parameters,
    )


def _tensor(item: Any) -> tuple[Tensor, int]:
    """Read one input; also return how many arrays its data is made of."""
    name, datatype, data = item["name"], item["datatype"], item["data"]
    shape = tuple(item["shape"].as_list())
    regular = isinstance(name, str) and datatype in NUMBERS and item.get("parameters") is None
    if not regular or not all(type(length) is int and length >= 1 for length in shape):
        raise ValueError("unusual")
    arrays = _arrays(data, shape)
    flat = np.frombuffer(data.as_buffer(of_type="d"))
    if len(flat) != math.prod(shape):
        raise ValueError("not of its shape")
    return Tensor(name, datatype, flat.reshape(shape)), arrays


def _arrays(data: Any, shape: tuple[int, ...]) -> int:
    """Count the arrays that the data must be made of, if its rows are as long as they should."""
    if not isinstance(data[0], simdjson.Array):
        return 1
    if len(data) != shape[0] or not 2 <= len(shape) <= 3:
        raise ValueError("not of its shape")
    rows = data
    if len(shape) == 3:
        if {*map(len, data)} != {shape[1]}:
            raise ValueError("not of its shape")
        rows = chain.from_iterable(data)
    if {*map(len, rows)} != {shape[-1]}:
        raise ValueError("not of its shape")
    return 1 + shape[0] + (shape[0] * shape[1] if len(shape) == 3 else 0)


def _output(item: Any) -> RequestedOutput:
    name, parameters = item["name"], item.get("parameters")
    parameters = {} if parameters is None else parameters.as_dict()
    flag = parameters.get("binary_data", False)
    scalars = all(isinstance(value, _SCALAR) for value in parameters.values())
    if not isinstance(name, str) or not isinstance(flag, bool) or not scalars:
        raise ValueError("unusual")
    if "shared_memory_region" in parameters:
        raise ValueError("unusual")
    return RequestedOutput(name, parameters)
