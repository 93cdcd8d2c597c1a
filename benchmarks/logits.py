"""What a variant answers to the windows of a data set, through the serving engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.windows import WindowSet
from sentryfuse.variants import Variant


def logits_of(
    variant: Variant, windows: WindowSet, names: tuple[str, ...], *, batch: int = 16
) -> NDArray[np.float32]:
    """Return logits ``[windows, classes]``.

    Args:
        variant: Answers.
        windows: All modalities; the absent ones are left out here.
        names: Modalities that the variant reads.
        batch: Windows in one run.
    """
    parts = []
    for start in range(0, len(windows), batch):
        rows = slice(start, start + batch)
        parts.append(variant.run({n: windows.arrays[n][rows].astype(np.float32) for n in names}))
    return np.concatenate(parts)
