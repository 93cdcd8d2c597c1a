"""From the bytes of an inference request to windows the model takes, trusting nothing.

Nearly every request is regular and goes from text to arrays without a Python object for each
number (`app.api.regular`). What is left is read here slowly, and explained by
`app.api.diagnosis` where it is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from app.api import diagnosis
from app.api.regular import RegularReader
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


class WindowReader:
    """Reads the windows of requests to one model.

    Args:
        spec: The model.
        max_batch: Most windows in one request.
    """

    def __init__(self, spec: ModelSpec, *, max_batch: int) -> None:
        self._spec = spec
        self._max_batch = max_batch
        self._regular = RegularReader(spec)
        self._bit_of = {name: index for index, name in enumerate(spec.modality_names)}

    def read(self, body: bytes) -> Windows:
        """Read and check the windows of one request.

        Args:
            body: ``{"inputs": {modality: window or null}, "id": optional}`` as JSON; a window is
                ``[time, channels]`` or ``[batch, time, channels]``. Other fields are ignored.

        Raises:
            MalformedError: The body is not JSON.
            WrongInputError: The windows do not fit the model; says which and what was expected.
            WrongFieldError: Another field has no usable value.
        """
        regular = self._regular.read(body)
        if regular is not None:
            return self._windows(*regular)
        try:
            content = load_json(body)
        except MalformedError:
            _explain_non_finite(body, self._spec)
            raise
        arrays = _read_slowly(content, self._spec)
        return self._windows(arrays, content.get("id"))

    def _windows(self, arrays: Mapping[str, FloatArray], request_id: object) -> Windows:
        return Windows(
            inputs=arrays,
            presence=Presence.of((self._bit_of[name] for name in arrays), len(self._bit_of)),
            batch=_common_batch(arrays, self._max_batch),
            id=_checked_id(request_id),
        )


def _read_slowly(content: object, spec: ModelSpec) -> dict[str, FloatArray]:
    present = _present(content, spec)
    return {
        modality.name: _array(modality, present[modality.name])
        for modality in spec.modalities
        if modality.name in present
    }


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


def _array(modality: ModalitySpec, window: object) -> FloatArray:
    """Turn one window, or a batch of them, into ``[batch, length, channels]``."""
    if not diagnosis.is_nest_of_numbers(window):
        raise diagnosis.wrong_window(modality, window)
    try:
        with np.errstate(over="ignore"):
            array: FloatArray = np.array(window, dtype=np.float32)
    except (ValueError, OverflowError):
        raise diagnosis.wrong_window(modality, window) from None
    shape = (modality.length, modality.channels)
    if array.ndim not in (2, 3) or array.shape[-2:] != shape:
        raise diagnosis.wrong_window(modality, window)
    if not np.isfinite(array).all():
        raise diagnosis.not_finite(modality, window)
    return array.reshape(-1, *shape)


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


def _checked_id(value: object) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_ID_LENGTH):
        return value
    raise WrongFieldError(
        f"id must be a string of at most {MAX_ID_LENGTH} characters, got {diagnosis.kind(value)}",
        field="id",
    )


def _explain_non_finite(body: bytes, spec: ModelSpec) -> None:
    """Name the modality where a body is no JSON because of a NaN or an infinity.

    Many writers of JSON emit them, and "unexpected character" would help nobody.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    _read_slowly(content, spec)
