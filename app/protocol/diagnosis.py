"""What exactly is wrong with a window that did not pass."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import WrongInputError
from sentryfuse.spec import ModalitySpec

_DEEPEST = 4  # one more than a batch of windows needs
FLOAT32_LIMIT = 3.4028235677973366e38
"""The least double that rounds to infinity in float32."""


def shorten(value: object, limit: int = 40) -> str:
    """Quote a value that came from outside, cut to a length that fits a message."""
    text = repr(value[: limit + 1] if isinstance(value, str) else value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind(value: object) -> str:
    """Name the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"the string {shorten(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return "an object"


def is_nest_of_numbers(window: object, depth: int = _DEEPEST, *, gaps: bool = False) -> bool:
    """Whether nothing but numbers stands in nested arrays, not too deep; or null, with ``gaps``."""
    if not isinstance(window, list) or not depth:
        return False
    kinds = {*map(type, window)}
    if kinds <= ({int, float, NoneType} if gaps else {int, float}):
        return True
    return kinds == {list} and all(
        is_nest_of_numbers(item, depth - 1, gaps=gaps) for item in window
    )


def first_odd(value: object, depth: int, *, gaps: bool = False) -> str:
    """Name the first thing in nested arrays that is no number, or null, and where it stands."""
    numbers = int | float | None if gaps else int | float
    for path, leaf in _leaves(value):
        if isinstance(leaf, bool) or not isinstance(leaf, numbers):
            return f"{kind(leaf)} at {_place(path)}" if path else kind(leaf)
        if not 1 <= len(path) <= depth:
            return f"a number nested {len(path)} deep at {_place(path)}" if path else kind(leaf)
    return "numbers nested unevenly"


def wrong_window(modality: ModalitySpec, window: object) -> WrongInputError:
    """Explain a window that is no array of numbers of the right shape."""
    return unlike(modality, _first_fault(modality, window))


def unlike(modality: ModalitySpec, received: str) -> WrongInputError:
    """Say what a window must look like, and what came instead."""
    length, channels = modality.length, modality.channels
    numbers = "numbers or nulls" if modality.gaps else "numbers"
    expected = f"[{length}, {channels}] {numbers}, or [batch, {length}, {channels}]"
    return WrongInputError(
        f"modality {modality.name!r} must be {expected}, got {received}",
        modality=modality.name,
        expected=expected,
        received=received,
    )


def not_finite(modality: ModalitySpec, window: object) -> WrongInputError:
    """Explain a null, or a number that float32 can't hold."""
    for path, leaf in _leaves(window):
        if leaf is None and not modality.gaps:
            return wrong_window(modality, window)
        if isinstance(leaf, int | float) and not abs(leaf) < FLOAT32_LIMIT:
            received = f"{shorten(leaf)} at {_place(path)}"
            break
    else:
        received = "one that is not"
    return _no_data(modality, received)


def not_finite_values(modality: ModalitySpec, values: NDArray[Any]) -> WrongInputError:
    """Explain an array with a number in it that float32 can't hold."""
    with np.errstate(over="ignore"):
        odd = wrong_values(modality, values.astype(np.float32))
    place = np.argwhere(odd)[0].tolist()
    return _no_data(modality, f"{shorten(values[tuple(place)].item())} at {_place(place)}")


def wrong_values(modality: ModalitySpec, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values the model can't take: NaN is one of them unless the modality may have gaps."""
    odd: NDArray[np.bool_] = np.isinf(values) if modality.gaps else ~np.isfinite(values)
    return odd


def _no_data(modality: ModalitySpec, received: str) -> WrongInputError:
    expected = f"finite numbers within ±{FLOAT32_LIMIT:.3g}"
    return WrongInputError(
        f"modality {modality.name!r} must hold {expected}, got {received}; "
        "leave a sensor out, or send null for it, when it has no data",
        modality=modality.name,
        expected=expected,
        received=received,
    )


def _first_fault(modality: ModalitySpec, window: object) -> str:
    depth = None
    numbers = int | float | None if modality.gaps else int | float
    for path, leaf in _leaves(window):
        if isinstance(leaf, bool) or not isinstance(leaf, numbers):
            return f"{kind(leaf)} at {_place(path)}" if path else kind(leaf)
        depth = depth or len(path)
        if len(path) != depth or not 2 <= depth <= 3:
            return f"a number nested {len(path)} deep at {_place(path)}" if path else kind(leaf)
    return _shape_fault(modality, window)


def _leaves(value: object, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], object]]:
    """Everything that is no array, or an array that is empty or too deep, and where it stands."""
    if isinstance(value, list) and value and len(path) < _DEEPEST:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _shape_fault(modality: ModalitySpec, window: Any) -> str:
    """Say where the shape departs; all leaves are numbers at one depth of two or three."""
    batched = isinstance(window[0][0], list)
    for number, rows in enumerate(window if batched else [window]):
        at = f" in window {number}" if batched else ""
        odd = next((i for i, row in enumerate(rows) if len(row) != modality.channels), None)
        if odd is not None:
            return f"{len(rows[odd])} channels in row {odd}{at}"
        if len(rows) != modality.length:
            return f"[{len(rows)}, {modality.channels}]{at}"
    return "an integer too large for float32"


def _place(path: list[int] | tuple[int, ...]) -> str:
    return "[" + ", ".join(str(index) for index in path) + "]"
