"""The protocol's messages as values and back, trusting nothing that came."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from app.errors import MalformedError
from app.protocol.metadata import ModelMetadata, TensorMetadata
from app.protocol.tensors import (
    BYTES,
    DTYPES,
    InferRequest,
    InferResponse,
    Parameter,
    RequestedOutput,
    Tensor,
    checked_datatype,
    checked_shape,
    from_bytes,
    to_bytes,
    wrong_tensor,
)
from app.rpc import open_inference_pb2 as pb

_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field that is made for each datatype; FP16 travels only as bytes."""


def infer_request(message: pb.ModelInferRequest) -> InferRequest:
    """Read a request; tensors that came as bytes are not copied.

    Raises:
        MalformedError: Bytes and inputs do not go together.
        WrongInputError: The elements of an input are not what its shape and datatype say.
    """
    return InferRequest(
        inputs=_inputs(message),
        outputs=tuple(
            RequestedOutput(output.name, parameters(output.parameters))
            for output in message.outputs
        ),
        id=message.id or None,
        parameters=parameters(message.parameters),
    )


def parameters(
    sent: Mapping[str, pb.InferParameter] | Mapping[str, pb.ModelRepositoryParameter],
) -> dict[str, Any]:
    """Read parameters; one without a value is as good as none."""
    read = {}
    for name, parameter in sent.items():
        field = parameter.WhichOneof("parameter_choice")
        if field is not None:
            read[name] = getattr(parameter, field)
    return read


def infer_message(response: InferResponse, *, raw: bool) -> pb.ModelInferResponse:
    """Write an answer.

    Args:
        response: The answer.
        raw: Whether its tensors travel as bytes, as those of the request did.
    """
    message = pb.ModelInferResponse(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id or "",
    )
    _write_parameters(message.parameters, response.parameters)
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if raw:
            message.raw_output_contents.append(to_bytes(tensor))
        else:
            elements = getattr(output.contents, _CONTENTS[tensor.datatype])
            elements.extend(tensor.data.ravel().tolist())
    return message


def metadata_message(metadata: ModelMetadata) -> pb.ModelMetadataResponse:
    """Write what a model takes and answers."""
    return pb.ModelMetadataResponse(
        name=metadata.name,
        versions=metadata.versions,
        platform=metadata.platform,
        inputs=_tensor_metadata(metadata.inputs),
        outputs=_tensor_metadata(metadata.outputs),
    )


def _tensor_metadata(
    tensors: Iterable[TensorMetadata],
) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(name=t.name, datatype=t.datatype, shape=t.shape)
        for t in tensors
    ]


def _write_parameters(written: Any, values: Mapping[str, Parameter]) -> None:
    for name, value in values.items():
        if isinstance(value, bool):
            written[name].bool_param = value
        elif isinstance(value, int):
            written[name].int64_param = value
        elif isinstance(value, float):
            written[name].double_param = value
        else:
            written[name].string_param = value


def _inputs(message: pb.ModelInferRequest) -> tuple[Tensor, ...]:
    sent, raw = message.inputs, message.raw_input_contents
    if not raw:
        return tuple(_from_contents(tensor) for tensor in sent)
    if len(raw) != len(sent):
        raise MalformedError(
            f"raw_input_contents must hold an entry for each of {len(sent)} inputs, got {len(raw)}"
        )
    for tensor in sent:
        if tensor.HasField("contents"):
            raise MalformedError(
                f"input {tensor.name[:64]!r} has contents beside raw_input_contents; send one"
            )
    return tuple(
        from_bytes(tensor.name, tensor.datatype, tuple(tensor.shape), data)
        for tensor, data in zip(sent, raw, strict=True)
    )


def _from_contents(tensor: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    name = tensor.name
    shape = checked_shape(name, tuple(tensor.shape))
    datatype = checked_datatype(name, tensor.datatype)
    field = _CONTENTS.get(datatype)
    if field is None:
        raise wrong_tensor(name, "data", "in raw_input_contents for FP16", "none there")
    elements: Sequence[int | float] = getattr(tensor.contents, field)
    expected = math.prod(shape)
    if len(elements) != expected:
        shown = "x".join(map(str, shape))
        raise wrong_tensor(
            name, "data", f"{expected} {field} for {shown} {datatype}", f"{len(elements)}"
        )
    carried = np.array(elements)
    data = carried.astype(DTYPES[datatype], copy=False)
    if data.dtype.kind in "iu" and not np.array_equal(data, carried):
        raise wrong_tensor(name, "data", f"numbers that fit {datatype}", "one that does not")
    return Tensor(name, datatype, data.reshape(shape))
