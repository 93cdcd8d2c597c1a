"""The sensor data of one request, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.presence import Presence

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What a request asks the model about: raw windows, not normalised."""

    inputs: Mapping[str, FloatArray]
    """Present modalities in the bundle's order, each ``[batch, length, channels]``."""
    presence: Presence
    batch: int
    id: str | None = None
    """The caller's own name for the request."""
