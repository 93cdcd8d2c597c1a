"""From the bytes of an inference request to windows the model takes, trusting nothing.

Nearly every request is regular and goes from text to arrays without a Python object for each
number (`app.api.regular`). What is left is read here slowly, and explained by
`app.protocol.diagnosis` where it is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson

from app.api.regular import RegularReader
from app.errors import MalformedError, TooDeepError, WrongInputError
from app.inference.windows import FloatArray, Windows
from app.protocol import diagnosis
from app.protocol.assembly import none_present, unknown_modality, windows_of
from sentryfuse.spec import ModalitySpec, ModelSpec

MAX_JSON_DEPTH = 32
Nested = list[Any] | dict[str, Any]


def load_json(body: bytes) -> Any:
    """Parse a body as strict JSON.

    Raises:
        MalformedError: It is empty or not JSON.
        TooDeepError: It is nested beyond all need.
    """
    if not body:
        raise MalformedError("the body is empty; send a JSON object")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"the body is not JSON: {error}") from error
    # A body with few brackets can't be deep, and most are short of them.
    few = body.count(b"[") + body.count(b"{") <= MAX_JSON_DEPTH
    if not few and _is_deep(content):
        raise TooDeepError(f"the body may nest at most {MAX_JSON_DEPTH} deep")
    return content


def _is_deep(content: object) -> bool:
    """Whether arrays and objects go too deep; found level by level, without recursion."""
    level = _nested([content])
    for _ in range(MAX_JSON_DEPTH):
        if not level:
            return False
        level = _nested(chain.from_iterable(map(_members, level)))
    return bool(level)


def _nested(values: Iterable[object]) -> list[Nested]:
    return [value for value in values if isinstance(value, list | dict)]


def _members(value: Nested) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


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
        return windows_of(self._spec, arrays, request_id, max_batch=self._max_batch)


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
            raise unknown_modality(spec, name)
    present = {name: window for name, window in inputs.items() if window is not None}
    if not present:
        raise none_present(spec)
    return present


def _array(modality: ModalitySpec, window: object) -> FloatArray:
    """Turn one window, or a batch of them, into ``[batch, length, channels]``; null is NaN."""
    if not diagnosis.is_nest_of_numbers(window, gaps=modality.gaps):
        raise diagnosis.wrong_window(modality, window)
    try:
        with np.errstate(over="ignore"):
            array: FloatArray = np.array(window, dtype=np.float32)
    except (ValueError, OverflowError):
        raise diagnosis.wrong_window(modality, window) from None
    shape = (modality.length, modality.channels)
    if array.ndim not in (2, 3) or array.shape[-2:] != shape:
        raise diagnosis.wrong_window(modality, window)
    if diagnosis.wrong_values(modality, array).any():
        raise diagnosis.not_finite(modality, window)
    return array.reshape(-1, *shape)


def _explain_non_finite(body: bytes, spec: ModelSpec) -> None:
    """Name the modality where a body is no JSON because of a NaN or an infinity.

    Many writers of JSON emit them, and "unexpected character" would help nobody.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    _read_slowly(content, spec)
