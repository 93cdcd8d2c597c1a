"""The fast way from JSON text to arrays, for requests with nothing odd about them.

Simdjson writes the numbers of nested arrays straight into a buffer and refuses all that is no
number. It flattens as it goes, so the shape is checked beside: by the length of every row, and
by the number of brackets, which leaves none for arrays where a number should stand.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import simdjson

from app.inference.windows import FloatArray
from sentryfuse.spec import ModalitySpec, ModelSpec

_KEPT_BYTES = 2**20
_BRACKET = ord("[")


class RegularReader:
    """Reads requests to one model. Used by the event loop alone, never across an await.

    Args:
        spec: The model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._modalities = spec.modalities
        self._names = frozenset(spec.modality_names)
        self._parser = simdjson.Parser()  # keeps its buffers between requests

    def read(self, body: bytes) -> tuple[dict[str, FloatArray], str | None] | None:
        """Read a request's windows and its id.

        Returns:
            Windows ``[batch, length, channels]`` by modality, in the bundle's order, and the id;
            or None for a request that is wrong, or merely unusual: `app.api.payload` finds out.
        """
        parser = self._parser if len(body) <= _KEPT_BYTES else simdjson.Parser()
        try:
            document: Any = parser.parse(body)
            inputs = document["inputs"]
            names = list(inputs.keys())
            windows = {name: window for name in names if (window := inputs[name]) is not None}
            if not windows or len({*names}) != len(names) or not self._names.issuperset(names):
                return None
            modalities = [m for m in self._modalities if m.name in windows]
            shapes = {m.name: _shape(m, windows[m.name]) for m in modalities}
            request_id = document.get("id")
            brackets = np.count_nonzero(np.frombuffer(body, np.uint8) == _BRACKET)
            expected = sum(_brackets(*shape) for shape in shapes.values())
            if brackets != expected or not isinstance(request_id, str | None):
                return None
            flat = [np.frombuffer(windows[name].as_buffer(of_type="d")) for name in shapes]
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError):
            return None
        with np.errstate(over="ignore"):
            numbers = np.concatenate(flat, dtype=np.float32, casting="same_kind")
        if not np.isfinite(numbers).all():
            return None
        arrays, start = {}, 0
        for (name, shape), part in zip(shapes.items(), flat, strict=True):
            arrays[name] = numbers[start : start + len(part)].reshape(shape[:3])
            start += len(part)
        return arrays, request_id


def _shape(modality: ModalitySpec, window: Any) -> tuple[int, int, int, bool]:
    """Return batch, length, channels and whether the batch was written out."""
    length, channels = modality.length, modality.channels
    batched = isinstance(window[0][0], simdjson.Array)
    rows = chain.from_iterable(window) if batched else window
    lengths = {*map(len, window)} if batched else {len(window)}
    if lengths != {length} or {*map(len, rows)} != {channels}:
        raise ValueError("not of the modality's shape")
    return (len(window) if batched else 1), length, channels, batched


def _brackets(batch: int, length: int, channels: int, batched: bool) -> int:
    return 1 + batch * length + (batch if batched else 0)
