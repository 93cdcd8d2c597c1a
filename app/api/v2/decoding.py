"""From the body of an inference request to its tensors: JSON, binary or both, trusting nothing.

In the binary tensor extension a JSON header comes first, as long as a header of the request says,
and then the bytes of all inputs that give a ``binary_data_size``, in order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container
from typing import Any

import numpy as np

from app.api.payload import load_json
from app.api.v2.regular import RegularJson
from app.errors import MalformedError, WrongFieldError, WrongInputError
from app.protocol import diagnosis
from app.protocol.tensors import (
    InferRequest,
    Parameter,
    RequestedOutput,
    Tensor,
    checked_datatype,
    checked_shape,
    from_bytes,
    wrong_tensor,
)
from sentryfuse.spec import ModelSpec

LENGTH_HEADER = "Inference-Header-Content-Length"
_SCALARS = (str, int, float, bool)
_SHARED_MEMORY = "shared_memory_region"


class Decoder:
    """Reads requests. Used by the event loop alone, never across an await."""

    def __init__(self) -> None:
        self._regular = RegularJson()

    def decode(self, body: bytes, header_length: int | None, spec: ModelSpec) -> InferRequest:
        """Read one request.

        Args:
            body: All of it.
            header_length: Bytes of the JSON in front; None if there is nothing else, 0 if there is
                no JSON but only the bytes of the one input.
            spec: The model: which inputs know gaps, and what a request without JSON leaves open.

        Raises:
            MalformedError: It is not JSON, or not as long as it says.
            WrongInputError: A tensor contradicts itself.
            WrongFieldError: Another field has no usable value.
        """
        if header_length is None:
            regular = self._regular.read(body)
            return regular if regular is not None else _decode(body, memoryview(b""), spec)
        if header_length == 0:
            return _only_bytes(body, spec)
        if header_length > len(body):
            raise MalformedError(
                f"{LENGTH_HEADER} is {header_length}, but the body has only {len(body)} bytes"
            )
        # A copy of its own, so that numbers do not start wherever the text happens to end.
        return _decode(body[:header_length], memoryview(body[header_length:]), spec)


def _only_bytes(body: bytes, spec: ModelSpec) -> InferRequest:
    """Take the body for windows of the one modality there is."""
    if len(spec.modalities) != 1:
        raise MalformedError(
            f"{LENGTH_HEADER} may be 0 only for a model with one input; this one has "
            f"{', '.join(spec.modality_names)}"
        )
    (only,) = spec.modalities
    window = only.length * only.channels * np.dtype(np.float32).itemsize
    shape = [max(1, len(body) // window), only.length, only.channels]
    return InferRequest(inputs=(from_bytes(only.name, "FP32", shape, body),))


def _decode(text: bytes, tail: memoryview, spec: ModelSpec) -> InferRequest:
    gapped = frozenset(modality.name for modality in spec.modalities if modality.gaps)
    try:
        content = load_json(text)
    except MalformedError:
        _explain_non_finite(text, tail, gapped)
        raise
    return _request(content, tail, gapped)


def _request(content: object, tail: memoryview, gapped: Container[str]) -> InferRequest:
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(inputs, list):
        came = diagnosis.kind(inputs if isinstance(content, dict) else content)
        raise WrongInputError(
            f'the body must be an object {{"inputs": [tensors]}}, got {came}',
            expected="an array inputs of tensors",
            received=came,
        )
    tensors, start = [], 0
    for item in inputs:
        tensor, size = _tensor(item, tail[start:], gapped)
        tensors.append(tensor)
        start += size
    if start != len(tail):
        raise MalformedError(
            f"the inputs' binary_data_size add up to {start} bytes, but {len(tail)} follow the "
            "JSON header"
        )
    return request_of(tuple(tensors), content)


def request_of(inputs: tuple[Tensor, ...], content: dict[str, Any]) -> InferRequest:
    """Put a request together from its tensors and the fields around them.

    Raises:
        WrongFieldError: One of these has no usable value.
    """
    parameters = _parameters(content)
    _flag(parameters, "binary_data_output")
    return InferRequest(
        inputs=inputs,
        outputs=_outputs(content.get("outputs")),
        id=_id(content.get("id")),
        parameters=parameters,
    )


def _tensor(item: object, tail: memoryview, gapped: Container[str]) -> tuple[Tensor, int]:
    """Read one input; also return how many bytes of the tail are its own."""
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(name, str):
        came = diagnosis.kind(name if isinstance(item, dict) else item)
        raise WrongInputError(
            f"each of inputs must be an object with a name, got {came}",
            expected="an object with name, datatype, shape and data",
            received=came,
        )
    parameters = _parameters(item, "input")
    if _SHARED_MEMORY in parameters:
        raise wrong_tensor(
            name, "data", "in the body: shared memory is not offered", _SHARED_MEMORY
        )
    if "binary_data_size" not in parameters:
        return _from_json(name, item, gaps=name in gapped), 0
    if "data" in item:
        raise wrong_tensor(name, "data", "left out where there is a binary_data_size", "both")
    size = parameters["binary_data_size"]
    if type(size) is not int or not 0 <= size <= len(tail):
        allowed = f"a whole number up to the {len(tail)} bytes that are left (see {LENGTH_HEADER})"
        raise wrong_tensor(name, "binary_data_size", allowed, diagnosis.shorten(size))
    return from_bytes(name, item.get("datatype"), item.get("shape"), tail[:size]), size


def _from_json(name: str, item: dict[str, Any], *, gaps: bool) -> Tensor:
    """Read numbers; null is NaN, a value that was not measured, where there may be gaps."""
    shape = checked_shape(name, item.get("shape"))
    datatype = checked_datatype(name, item.get("datatype"))
    data = item.get("data")
    if not diagnosis.is_nest_of_numbers(data, len(shape), gaps=gaps):
        allowed = "numbers or nulls, flat or nested" if gaps else "numbers, flat or nested"
        odd = diagnosis.first_odd(data, len(shape), gaps=gaps)
        raise wrong_tensor(name, "data", allowed, odd)
    try:
        with np.errstate(over="ignore"):
            array = np.array(data, dtype=np.float64)
    except OverflowError:
        raise wrong_tensor(name, "data", "finite numbers", "an integer too large") from None
    except ValueError:
        raise wrong_tensor(name, "data", f"of shape {list(shape)}", "rows that differ") from None
    if array.shape not in (shape, (math.prod(shape),)):
        expected = f"of shape {list(shape)}, nested so or flat"
        raise wrong_tensor(name, "data", expected, f"shape {list(array.shape)}")
    return Tensor(name, datatype, array.reshape(shape))


def _outputs(outputs: object) -> tuple[RequestedOutput, ...]:
    if outputs is None:
        return ()
    if not isinstance(outputs, list):
        message = f"outputs must be an array, got {diagnosis.kind(outputs)}"
        raise WrongFieldError(message, field="outputs")
    return tuple(_output(item) for item in outputs)


def _output(item: object) -> RequestedOutput:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(name, str):
        came = diagnosis.kind(name if isinstance(item, dict) else item)
        message = f"each of outputs must be an object with a name, got {came}"
        raise WrongFieldError(message, field="outputs")
    parameters = _parameters(item, "output")
    _flag(parameters, "binary_data")
    if _SHARED_MEMORY in parameters:
        raise WrongFieldError("outputs: shared memory is not offered", field="outputs")
    return RequestedOutput(name, parameters)


def _parameters(holder: dict[str, Any], of: str = "") -> dict[str, Parameter]:
    """Read the parameters of a request, or ``of`` one of its inputs or outputs."""
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if isinstance(parameters, dict) and all(map(_is_scalar, parameters.values())):
        return parameters
    called = f"parameters of {of} {diagnosis.shorten(holder['name'])}" if of else "parameters"
    if not isinstance(parameters, dict):
        message = f"{called} must be an object, got {diagnosis.kind(parameters)}"
        raise WrongFieldError(message, field="parameters")
    name, value = next((n, v) for n, v in parameters.items() if not _is_scalar(v))
    raise WrongFieldError(
        f"{called}: {diagnosis.shorten(name)} must be a string, number or boolean, got "
        f"{diagnosis.kind(value)}",
        field="parameters",
    )


def _is_scalar(value: object) -> bool:
    return isinstance(value, _SCALARS)


def _flag(parameters: dict[str, Parameter], name: str) -> None:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        message = f"{name} must be true or false, got {diagnosis.shorten(value)}"
        raise WrongFieldError(message, field=name)


def _id(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise WrongFieldError(f"id must be a string, got {diagnosis.kind(value)}", field="id")


def _explain_non_finite(text: bytes, tail: memoryview, gapped: Container[str]) -> None:
    """Name the input where a body is no JSON because of a NaN or an infinity."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return
    for tensor in _request(content, tail, gapped).inputs:
        if not np.isfinite(tensor.data).all():
            raise wrong_tensor(tensor.name, "data", "finite numbers", "NaN or an infinity")
