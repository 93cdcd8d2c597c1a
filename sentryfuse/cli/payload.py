"""Windows as JSON, the same object that the HTTP API takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import InputError

if TYPE_CHECKING:
    from sentryfuse.spec import ModalitySpec, ModelSpec

Windows = dict[str, NDArray[np.float32]]


def parse_payload(text: str, spec: ModelSpec) -> Windows:
    """Read ``{"inputs": {modality: window or null}}``; other fields are ignored.

    Args:
        text: One JSON object.
        spec: The model that will be asked.

    Returns:
        The windows that are present, in the model's order, ``[batch, length, channels]``.

    Raises:
        InputError: It is not JSON, or a window does not fit; the message names the modality.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from error
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(inputs, dict):
        raise InputError('must be an object {"inputs": {modality: window}}')
    names = list(spec.modality_names)
    unknown = [name for name in inputs if name not in names]
    if unknown:
        raise InputError(f"unknown modality {unknown[0]!r}; the model has {names}")
    present = [m for m in spec.modalities if inputs.get(m.name) is not None]
    if not present:
        raise InputError(f"no modality is present; send at least one of {names}")
    windows = {m.name: _window(m, inputs[m.name]) for m in present}
    batches = {len(window) for window in windows.values()}
    if len(batches) > 1:
        sizes = {name: len(window) for name, window in windows.items()}
        raise InputError(f"every modality needs the same batch, got {sizes}")
    return windows


def _window(modality: ModalitySpec, value: object) -> NDArray[np.float32]:
    expected = f"{modality.name} must be [{modality.length}, {modality.channels}] finite numbers"
    if modality.gaps:
        expected += " or nulls"
    try:
        raw = np.array(value)
        if modality.gaps and raw.dtype.kind == "O":
            missing = np.vectorize(lambda leaf: leaf is None, otypes=[bool])(raw)
            raw = np.array(np.where(missing, np.nan, raw).tolist())
    except ValueError as error:  # ragged
        raise InputError(f"{expected}, or a batch of such windows; got uneven rows") from error
    shape = (modality.length, modality.channels)
    if raw.dtype.kind not in "iuf" or raw.shape[-2:] != shape or raw.ndim not in (2, 3):
        got = f"shape {list(raw.shape)}" if raw.dtype.kind in "iuf" else "something else"
        raise InputError(f"{expected}, or a batch of such windows; got {got}")
    with np.errstate(over="ignore"):
        window = raw.astype(np.float32).reshape(-1, *shape)
    if not len(window):
        raise InputError(f"{expected}; the batch is empty")
    if not (np.isfinite(window) | (np.isnan(window) & modality.gaps)).all():
        raise InputError(f"{expected}, got a value that is not finite in float32")
    return window


def write_payload(windows: Mapping[str, NDArray[np.float32]], identity: str) -> str:
    """Return one window of each modality, ``[length, channels]``, as one line of JSON.

    NaN is written as null.
    """
    inputs: dict[str, Any] = {
        name: [
            [None if math.isnan(value) else float(f"{value:.6g}") for value in row]
            for row in window.tolist()
        ]
        for name, window in windows.items()
    }
    return json.dumps({"inputs": inputs, "id": identity}, allow_nan=False)
