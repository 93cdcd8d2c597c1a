"""Small window sets for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.windows import WindowSet
from sentryfuse.spec import ModalitySpec


def window_set(
    arrays: Mapping[str, NDArray[np.floating]],
    *,
    label: NDArray[np.integer] | None = None,
    group: NDArray[np.integer] | None = None,
    classes: int = 2,
    meta: Mapping[str, Any] | None = None,
) -> WindowSet:
    """A set with these raw arrays; labels alternate and groups are of four windows by default."""
    count = len(next(iter(arrays.values())))
    return WindowSet(
        name="toy",
        arrays=arrays,
        label=np.asarray(np.arange(count) % classes if label is None else label, dtype=np.int64),
        group=np.asarray(np.arange(count) // 4 if group is None else group, dtype=np.int64),
        class_names=tuple(f"class-{i}" for i in range(classes)),
        modalities=tuple(
            ModalitySpec(name=name, length=a.shape[1], channels=a.shape[2], rate_hz=10)
            for name, a in arrays.items()
        ),
        meta=meta or {},
    )


def waves(
    cycles: NDArray[np.floating] | float,
    *,
    count: int = 40,
    length: int = 60,
    level: NDArray[np.floating] | float = 0.0,
    amplitude: float = 2.0,
    noise: float = 0.1,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Noisy sines of random phase, ``[count, length, 2]``, channels a quarter turn apart."""
    rng = np.random.default_rng(seed)
    turn = np.broadcast_to(cycles, count)[:, None] * np.arange(length) / length
    turn = 2 * np.pi * (turn + rng.random((count, 1)))
    both = amplitude * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    shifted: NDArray[np.float64] = both + np.broadcast_to(level, count)[:, None, None]
    return shifted + noise * rng.standard_normal(both.shape)
