"""Per-channel standardisation, fitted on the training groups only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.windows import WindowSet
from sentryfuse.spec import Normalisation

# A channel whose deviation is below this part of its mean (or below the smallest float32) never
# moves: what is left is rounding, and dividing by it would invent a signal.
_MIN_RELATIVE_STD = 1e-6
_MIN_STD = 1e-30


def fit_normalisation(train: WindowSet) -> dict[str, Normalisation]:
    """Return mean and standard deviation of each channel.

    NaN is not measured; so is infinity, which is what an overflow leaves in float16. A channel
    that never moves, or was never measured, gets a deviation of 1.

    Args:
        train: Windows of the training groups, and of no other.
    """
    gaps = {m.name: m.gaps for m in train.modalities}
    fitted = {}
    for name, array in train.arrays.items():
        values = array.astype(np.float64).reshape(-1, array.shape[-1])
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / count
        variance = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count
        std = np.sqrt(variance)
        std[std < np.maximum(_MIN_STD, _MIN_RELATIVE_STD * np.abs(mean))] = 1.0
        fitted[name] = Normalisation(tuple(mean.tolist()), tuple(std.tolist()), gaps=gaps[name])
    return fitted


def standardise(
    arrays: Mapping[str, NDArray[np.floating]], normalisation: Mapping[str, Normalisation]
) -> dict[str, NDArray[np.float32]]:
    """Return ``(x - mean) / std`` by modality.

    A value that was not measured stays NaN in a modality with gaps; in others it becomes the mean.
    """
    out = {}
    for name, array in arrays.items():
        mean = np.asarray(normalisation[name].mean, dtype=np.float32)
        std = np.asarray(normalisation[name].std, dtype=np.float32)
        values = (array.astype(np.float32) - mean) / std
        values[~np.isfinite(values)] = np.nan if normalisation[name].gaps else 0.0
        out[name] = values
    return out
