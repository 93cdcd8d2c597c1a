"""Sensor data as the caller has them, made ready for sending."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.client.errors import WrongInputError

Inputs: TypeAlias = Mapping[str, ArrayLike | None]
"""By sensor ``[time, channels]`` or ``[batch, time, channels]``; None for an absent one."""

Windows: TypeAlias = Mapping[str, NDArray[np.float32]]
"""Those that are there."""


def present_arrays(inputs: Inputs, *, gaps: bool = False) -> dict[str, NDArray[np.float32]]:
    """Return the windows that are there, as the model computes with them.

    Shapes are for the service to judge, which knows the model.

    Args:
        inputs: Of each sensor.
        gaps: Whether values may be NaN, which were not measured; the service refuses them where
            the model knows no gaps.

    Raises:
        WrongInputError: Values are not numbers, or not finite.
    """
    return {
        name: _floats(name, value, gaps=gaps) for name, value in inputs.items() if value is not None
    }


def _floats(name: str, value: ArrayLike, *, gaps: bool) -> NDArray[np.float32]:
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise WrongInputError(f"{name}: not an array: {error}", modality=name) from None
    if array.dtype.kind not in "fiub":
        raise WrongInputError(
            f"{name}: values must be real numbers, got an array of {array.dtype}", modality=name
        )
    with np.errstate(over="ignore"):  # what is too large for a float32 is refused below
        floats = np.ascontiguousarray(array, dtype="<f4").reshape(array.shape)
    if (np.isinf(floats) if gaps else ~np.isfinite(floats)).any():
        allowed = "finite float32 numbers, or NaN" if gaps else "finite float32 numbers"
        raise WrongInputError(
            f"{name}: values must be {allowed}; fill gaps, or leave the sensor out", modality=name
        )
    return floats
