"""Several models on one server: copies of a bundle that share nothing but their shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sentryfuse.bundle import Bundle, write_bundle

_NOISE = 0.01


def write_copies(bundle: Bundle, folder: Path, count: int, *, seed: int = 0) -> tuple[str, ...]:
    """Write models like one, each with weights of its own, so that none shares another's digest.

    Args:
        bundle: What they are like.
        folder: Directory of bundles.
        count: How many.
        seed: Of the noise on their weights.

    Returns:
        Their names.
    """
    names = tuple(f"model-{i:02d}" for i in range(count))
    for index, name in enumerate(names):
        rng = np.random.default_rng((seed, index))
        weights = {
            key: (value * rng.normal(1.0, _NOISE, value.shape)).astype(value.dtype)
            for key, value in bundle.weights.items()
        }
        write_bundle(replace(bundle, weights=weights), folder / name / "1")
    return names
