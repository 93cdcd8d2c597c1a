"""The messages that a stream takes, as text or binary, and what they say; trusting nothing."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from app.errors import MalformedError, WrongFieldError, WrongInputError
from app.protocol import diagnosis
from app.streaming.track import FloatArray
from sentryfuse.spec import ModalitySpec, ModelSpec

_HEADER_LENGTH = struct.Struct("<I")
_LATEST_S = 1e12
_NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What some sensors measured."""

    rows: Mapping[str, FloatArray]
    """``[time, channels]`` by sensor; at least one."""
    first_s: float | None
    """When the first of each was taken, on the sender's clock, if it says."""


@dataclass(frozen=True, slots=True)
class End:
    """No more samples will come."""


def read_message(message: str | bytes, spec: ModelSpec) -> Samples | End:
    """Read one message.

    Args:
        message: Text is JSON, ``{"samples": {sensor: [[…], …]}, "t": seconds}`` or
            ``{"end": true}``. Bytes are the length of a JSON header (32 bits, little-endian), the
            header with ``{"samples": {sensor: [rows, channels]}}``, and the numbers as
            little-endian float32.
        spec: The model.

    Raises:
        MalformedError: It does not parse.
        WrongInputError: Samples that are none of the model's; names the sensor.
        WrongFieldError: Another field has no usable value.
    """
    if isinstance(message, str):
        content = _object(message)
        return End() if _ends(content) else _samples(content, spec, _read_rows(content, spec))
    content, data = _split(message)
    return End() if _ends(content) else _samples(content, spec, _cut_rows(content, spec, data))


def _object(text: str | bytes | memoryview) -> dict[str, Any]:
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"the message is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise MalformedError(f"a message must be a JSON object, got {diagnosis.kind(content)}")
    return content


def _split(message: bytes) -> tuple[dict[str, Any], memoryview]:
    view = memoryview(message)
    if len(view) < _HEADER_LENGTH.size:
        raise MalformedError(f"a binary message begins with 4 bytes of length, got {len(view)}")
    (length,) = _HEADER_LENGTH.unpack_from(view)
    end = _HEADER_LENGTH.size + length
    if end > len(view):
        raise MalformedError(
            f"the header should be {length} bytes long, but {len(view) - 4} follow its length"
        )
    return _object(view[_HEADER_LENGTH.size : end]), view[end:]


def _ends(content: dict[str, Any]) -> bool:
    if content.get("end") is True:
        return True
    if "end" in content:
        raise WrongFieldError("end must be true or left out", field="end")
    return False


def _samples(content: dict[str, Any], spec: ModelSpec, rows: Mapping[str, FloatArray]) -> Samples:
    for modality in spec.modalities:
        if modality.name in rows:
            _check(modality, rows[modality.name])
    return Samples(rows, _time(content))


def _named(content: dict[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """The member ``samples``, with known names only."""
    samples = content.get("samples")
    names = spec.modality_names
    if not isinstance(samples, dict) or not samples:
        came = diagnosis.kind(samples) if samples != {} else "an empty object"
        raise WrongInputError(
            f'a message must hold {{"samples": {{sensor: rows}}}} or {{"end": true}}, got {came}',
            expected=f"an object samples with some of {', '.join(names)}",
            received=came,
        )
    for name in samples:
        if name not in names:
            shown = diagnosis.shorten(name)
            raise WrongInputError(
                f"no modality {shown}; there is {', '.join(names)}",
                modality=name[:64],
                expected=", ".join(names),
                received=shown,
            )
    return samples


def _read_rows(content: dict[str, Any], spec: ModelSpec) -> dict[str, FloatArray]:
    modalities = {m.name: m for m in spec.modalities}
    return {name: _array(modalities[name], rows) for name, rows in _named(content, spec).items()}


def _array(modality: ModalitySpec, rows: Any) -> FloatArray:
    if not diagnosis.is_nest_of_numbers(rows):
        raise _wrong(modality, f"{diagnosis.kind(rows)}, not all of it rows of numbers")
    try:
        with np.errstate(over="ignore"):
            return np.asarray(rows, np.float64).astype(np.float32)
    except (ValueError, OverflowError):
        raise _wrong(modality, "rows of unequal length, or a number beyond float32") from None


def _cut_rows(content: dict[str, Any], spec: ModelSpec, data: memoryview) -> dict[str, FloatArray]:
    modalities = {m.name: m for m in spec.modalities}
    rows, start = {}, 0
    for name, shape in _named(content, spec).items():
        modality = modalities[name]
        count = _count(modality, shape)
        end = start + count * modality.channels * _NUMBER_BYTES
        if end > len(data):
            raise _wrong(modality, f"{len(data) - start} bytes for {count} rows")
        numbers = np.frombuffer(data[start:end], "<f4").astype(np.float32)
        rows[name] = numbers.reshape(count, modality.channels)
        start = end
    if start < len(data):
        raise MalformedError(f"{len(data) - start} bytes follow the last row")
    return rows


def _count(modality: ModalitySpec, shape: object) -> int:
    """Read ``[rows, channels]``."""
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise _wrong(modality, f"{diagnosis.kind(shape)} as its shape")
    if len(shape) != 2 or shape[1] != modality.channels or shape[0] < 1:
        raise _wrong(modality, diagnosis.shorten(shape))
    count: int = shape[0]
    return count


def _check(modality: ModalitySpec, rows: FloatArray) -> None:
    if rows.ndim != 2 or rows.shape[1] != modality.channels or not len(rows):
        raise _wrong(modality, f"{[*rows.shape]}")
    if not np.isfinite(rows).all():
        index = int(np.argwhere(~np.isfinite(rows))[0][0])
        raise _wrong(modality, f"a number that float32 can't hold in row {index}")
    if not modality.rate_hz and len(rows) != modality.length:
        raise _wrong(modality, f"{len(rows)} rows")


def _wrong(modality: ModalitySpec, received: str) -> WrongInputError:
    rows = "rows" if modality.rate_hz else str(modality.length)
    expected = f"[{rows}, {modality.channels}] finite numbers"
    return WrongInputError(
        f"samples of {modality.name!r} must be {expected}, got {received}",
        modality=modality.name,
        expected=expected,
        received=received,
    )


def _time(content: dict[str, Any]) -> float | None:
    time_s = content.get("t")
    if time_s is None:
        return None
    if (
        isinstance(time_s, bool)
        or not isinstance(time_s, int | float)
        or not (math.isfinite(time_s) and abs(time_s) <= _LATEST_S)
    ):
        raise WrongFieldError(
            f"t must be seconds within ±{_LATEST_S:g}, got {diagnosis.shorten(time_s)}", field="t"
        )
    return float(time_s)
