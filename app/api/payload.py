"""From the bytes of an inference request to windows the model takes, trusting nothing.

The happy path is a few vectorised passes; `app.api.diagnosis` explains what was wrong once one
of them has failed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson

from app.api import diagnosis
from app.errors import MalformedError, WrongFieldError, WrongInputError
from app.inference.windows import FloatArray, Windows
from sentryfuse.presence import Presence
from sentryfuse.spec import ModalitySpec, ModelSpec

MAX_ID_LENGTH = 128


def load_json(body: bytes) -> Any:
    """Parse a body as strict JSON.

    Raises:
        MalformedError: It is empty or not JSON.
    """
    if not body:
        raise MalformedError("the body is empty; send a JSON object")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"the body is not JSON: {error}") from error


def parse_windows(body: bytes, spec: ModelSpec, *, max_batch: int) -> Windows:
    """Read and check the windows of one request.

    Args:
        body: ``{"inputs": {modality: window or null}, "id": optional}`` as JSON; a window is
            ``[time, channels]`` or ``[batch, time, channels]``. Other fields are ignored.
        spec: The model that will be asked.
        max_batch: Most windows in one request.

    Raises:
        MalformedError: The body is not JSON.
        WrongInputError: The windows do not fit the model; says which, and what was expected.
        WrongFieldError: Another field has no usable value.
    """
    try:
        content = load_json(body)
    except MalformedError:
        _explain_non_finite(body, spec, max_batch)
        raise
    return _windows(content, spec, max_batch, quotes=body.count(b'"'))


def _windows(content: Any, spec: ModelSpec, max_batch: int, *, quotes: int) -> Windows:
    present = _present(content, spec)
    request_id = _request_id(content)
    # With no more strings than keys and fields there is none among the numbers.
    fields = sum(type(value) is str for value in content.values())
    strings = len(content) + len(content["inputs"]) + fields
    arrays = {
        modality.name: _array(modality, present[modality.name], suspect=quotes != 2 * strings)
        for modality in spec.modalities
        if modality.name in present
    }
    return Windows(
        inputs=arrays,
        presence=Presence.named(arrays, spec.modality_names),
        batch=_common_batch(arrays, max_batch),
        id=request_id,
    )


def _present(content: object, spec: ModelSpec) -> dict[str, object]:
    """Windows by modality name, those that are null or left out dropped."""
    inputs = content.get("inputs") if isinstance(content, dict) else None
    names = ", ".join(spec.modality_names)
    if not isinstance(inputs, dict):
        came = diagnosis.kind(inputs if isinstance(content, dict) else content)
        raise WrongInputError(
            f'the body must be an object {{"inputs": {{modality: window}}}}, got {came}',
            expected=f"an object inputs with windows of {names}",
            received=came,
        )
    for name in inputs:
        if name not in spec.modality_names:
            shown = diagnosis.shorten(name)
            raise WrongInputError(
                f"unknown modality {shown}; the model has {names}",
                modality=name[:64],
                expected=f"one of {names}",
                received=shown,
            )
    present = {name: window for name, window in inputs.items() if window is not None}
    if not present:
        raise WrongInputError(
            f"no modality is present; send at least one of {names}",
            expected=f"at least one of {names}",
            received="none",
        )
    return present


def _array(modality: ModalitySpec, window: Any, *, suspect: bool) -> FloatArray:
    """Turn one window, or a batch of them, into ``[batch, length, channels]``.

    NumPy reads strings, booleans and nulls as numbers. A null becomes NaN and is found there; a
    boolean can hide only behind an exact 0 or 1; strings only in a body that is ``suspect``.
    """
    if suspect and not diagnosis.is_nest_of_numbers(window):
        raise diagnosis.wrong_window(modality, window)
    try:
        batched = type(window[0][0]) is list
        rows = list(chain.from_iterable(window)) if batched else window
        lengths = {*map(len, window)} if batched else {len(window)}
        if lengths != {modality.length} or {*map(len, rows)} != {modality.channels}:
            raise diagnosis.wrong_window(modality, window)
        count = len(rows) * modality.channels
        with np.errstate(over="ignore"):
            flat = np.fromiter(chain.from_iterable(rows), np.float32, count)
    except (TypeError, ValueError, LookupError, OverflowError):
        raise diagnosis.wrong_window(modality, window) from None
    if ((flat == 0) | (flat == 1)).any() and not diagnosis.is_nest_of_numbers(window):
        raise diagnosis.wrong_window(modality, window)
    if not np.isfinite(flat).all():
        raise diagnosis.not_finite(modality, window)
    return flat.reshape(-1, modality.length, modality.channels)


def _common_batch(arrays: Mapping[str, FloatArray], max_batch: int) -> int:
    sizes = {name: len(array) for name, array in arrays.items()}
    first, batch = next(iter(sizes.items()))
    for name, size in sizes.items():
        if size != batch:
            raise WrongInputError(
                f"modality {name!r} holds {size} windows and {first!r} holds {batch}; "
                "every modality needs the same batch",
                modality=name,
                expected=f"{batch} windows, as in {first!r}",
                received=f"{size} windows",
            )
    if batch > max_batch:
        raise WrongInputError(
            f"modality {first!r} holds {batch} windows; at most {max_batch} fit into one request",
            modality=first,
            expected=f"at most {max_batch} windows",
            received=f"{batch} windows",
        )
    return batch


def _request_id(content: object) -> str | None:
    value = content.get("id") if isinstance(content, dict) else None
    if value is None or (isinstance(value, str) and len(value) <= MAX_ID_LENGTH):
        return value
    raise WrongFieldError(
        f"id must be a string of at most {MAX_ID_LENGTH} characters, got {diagnosis.kind(value)}",
        field="id",
    )


def _explain_non_finite(body: bytes, spec: ModelSpec, max_batch: int) -> None:
    """Name the modality where a body is no JSON because of a NaN or an infinity.

    Many writers of JSON emit them, and "unexpected character" would help nobody.
    """
    if not any(word in body for word in (b"NaN", b"Infinity", b"e", b"E")):
        return
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    _windows(content, spec, max_batch, quotes=-1)
