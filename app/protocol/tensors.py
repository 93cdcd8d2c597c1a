"""Tensors of the Open Inference Protocol, version 2, as values and as bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import WrongInputError
from app.protocol.diagnosis import shorten

Parameter = str | int | float | bool
Parameters = Mapping[str, Parameter]

BYTES = "BYTES"
DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "BOOL": np.dtype("?"),
        **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
        **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
        **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    }
)
"""Datatypes of a fixed width. Bytes are little-endian, rows first."""
NUMBERS = tuple(name for name in DTYPES if name != "BOOL")
_NUMBERS = frozenset(NUMBERS)
_MOST_DIMENSIONS = 8
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named array, as it travels."""

    name: str
    datatype: str
    data: NDArray[Any]
    """In its shape; of objects (``bytes``) for BYTES."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its dimensions."""
        return self.data.shape


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output that the caller wants, and how."""

    name: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """An inference request, read but not yet compared with a model."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    """Empty for all there are."""
    id: str | None = None
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResponse:
    """The answer to it."""

    model_name: str
    model_version: str
    outputs: tuple[Tensor, ...]
    id: str | None = None
    parameters: Parameters = field(default_factory=dict)


def checked_shape(name: str, shape: object) -> tuple[int, ...]:
    """Check that a shape is one, whatever the model thinks of it.

    Raises:
        WrongInputError: It is not.
    """
    if (
        not isinstance(shape, list | tuple)
        or not 1 <= len(shape) <= _MOST_DIMENSIONS
        or {*map(type, shape)} != {int}
        or min(shape) < 1
    ):
        expected = f"1 to {_MOST_DIMENSIONS} whole numbers above 0"
        raise wrong_tensor(name, "shape", expected, shorten(shape))
    return tuple(shape)


def checked_datatype(name: str, datatype: object) -> str:
    """Check that a datatype is one of numbers.

    Raises:
        WrongInputError: It is not.
    """
    if not isinstance(datatype, str) or datatype not in _NUMBERS:
        raise wrong_tensor(name, "datatype", f"one of {', '.join(NUMBERS)}", shorten(datatype))
    return datatype


def from_bytes(name: str, datatype: object, shape: object, raw: bytes | memoryview) -> Tensor:
    """Read a tensor of numbers from its bytes, which are not copied.

    Raises:
        WrongInputError: Datatype or shape are none, or the bytes are too many or too few for them.
    """
    lengths, known = checked_shape(name, shape), checked_datatype(name, datatype)
    dtype = DTYPES[known]
    expected = math.prod(lengths) * dtype.itemsize
    if len(raw) != expected:
        shown = "x".join(map(str, lengths))
        raise wrong_tensor(
            name, "data", f"{expected} bytes for {shown} {known}", f"{len(raw)} bytes"
        )
    return Tensor(name, known, np.frombuffer(raw, dtype).reshape(lengths))


def to_bytes(tensor: Tensor) -> bytes:
    """Write a tensor's values; each of BYTES behind its length in four bytes."""
    if tensor.datatype == BYTES:
        values: list[bytes] = tensor.data.ravel().tolist()
        return b"".join(len(v).to_bytes(4, "little") + v for v in values)
    return tensor.data.astype(DTYPES[tensor.datatype], copy=False).tobytes()


def wrong_tensor(name: str, what: str, expected: str, received: str) -> WrongInputError:
    """Say what a part of an input must be, and what came instead."""
    return WrongInputError(
        f"{what} of input {shorten(name)} must be {expected}, got {received}",
        modality=name[:_LONGEST_NAME],
        expected=expected,
        received=received,
    )
