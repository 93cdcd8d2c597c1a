"""The fast way from bytes to windows, for requests whose JSON header was met before.

Clients send the same names, shapes and parameters again and again; only the numbers differ. So what
a header said is kept by its very bytes, and a request with the same ones needs nothing but its
numbers looked at. Whatever is new, odd or wrong takes the ordinary way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from app.inference.model import ServedModel
from app.inference.windows import Windows
from app.protocol.tensors import InferRequest
from sentryfuse.presence import Presence

_MOST_KEPT = 256
_LONGEST = 4096
_FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class _Part:
    """Where the numbers of one modality are."""

    name: str
    shape: tuple[int, int, int]
    offset: int
    """In bytes, behind the header."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What a header said."""

    request: InferRequest
    """Without its inputs."""
    parts: tuple[_Part, ...]
    """In the bundle's order."""
    size: int
    """Bytes behind the header."""
    presence: Presence
    batch: int


class Forms:
    """Headers that were met, for each model."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[ServedModel, dict[bytes, _Form]] = WeakKeyDictionary()

    def read(
        self, model: ServedModel, text: bytes, tail: bytes
    ) -> tuple[InferRequest, Windows] | None:
        """Read a request whose header was met before.

        Args:
            model: Who is asked.
            text: The header.
            tail: What follows it.

        Returns:
            The request without its inputs, and its windows; None if it must be read as ever.
        """
        forms = self._of.get(model)
        form = None if forms is None else forms.get(text)
        if form is None or len(tail) != form.size:
            return None
        numbers = np.frombuffer(tail, _FLOAT32)
        # Finite only if all of them are; if it is not, the ordinary way finds out why.
        with np.errstate(all="ignore"):
            squares = np.dot(numbers, numbers)
        if not math.isfinite(squares):
            return None
        inputs = {p.name: np.ndarray(p.shape, _FLOAT32, tail, p.offset) for p in form.parts}
        windows = Windows(
            inputs=inputs, presence=form.presence, batch=form.batch, id=form.request.id
        )
        return form.request, windows

    def remember(
        self, model: ServedModel, text: bytes, tail: bytes, request: InferRequest, windows: Windows
    ) -> None:
        """Know this header from now on, if nothing but float32 windows follow it.

        Args:
            model: Who was asked.
            text: The header.
            tail: What follows it.
            request: As it was read.
            windows: As they were read.
        """
        if len(text) > _LONGEST or request.id is not None:  # an id will not come again
            return
        offsets, offset = {}, 0
        for tensor in request.inputs:
            if tensor.data.dtype != _FLOAT32:
                return
            offsets[tensor.name] = offset
            offset += tensor.data.nbytes
        if offset != len(tail):
            return
        forms = self._of.setdefault(model, {})
        if len(forms) >= _MOST_KEPT:
            forms.clear()
        forms[text] = _Form(
            request=InferRequest(
                inputs=(), outputs=request.outputs, id=None, parameters=request.parameters
            ),
            parts=tuple(
                _Part(name, array.shape, offsets[name]) for name, array in windows.inputs.items()
            ),
            size=offset,
            presence=windows.presence,
            batch=windows.batch,
        )
