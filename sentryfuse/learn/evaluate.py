"""Accuracy by presence and pruning ratio, computed with sliced models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sentryfuse.data.normalise import standardise
from sentryfuse.data.windows import WindowSet
from sentryfuse.learn.backbones import Backbone
from sentryfuse.presence import Presence
from sentryfuse.pruning import select_units
from sentryfuse.spec import Normalisation

_BATCH = 1024

Scores = Callable[[Presence], NDArray[np.floating]]


def predict(model: Backbone, arrays: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return logits ``[windows, num_classes]`` for standardised windows."""
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items()}
    count = len(next(iter(tensors.values())))
    with torch.inference_mode():
        parts = [
            model({name: t[start : start + _BATCH] for name, t in tensors.items()})
            for start in range(0, count, _BATCH)
        ]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def accuracy_table(
    model: Backbone,
    scores: Scores,
    windows: WindowSet,
    normalisation: Mapping[str, Normalisation],
    presences: Iterable[Presence],
    ratios: Sequence[float],
    progress: Callable[[], None] | None = None,
) -> dict[int, tuple[float, ...]]:
    """Measure accuracy for every presence and ratio.

    Args:
        model: Unpruned backbone.
        scores: Importance of each unit for a presence, from a gate or a baseline.
        windows: Labelled windows, all modalities present; absent ones are left out here.
        normalisation: Training statistics.
        presences: Presences to measure.
        ratios: Pruning ratios to measure.
        progress: Called after each presence.

    Returns:
        Accuracy in [0, 1] by presence bits, one value for each ratio.
    """
    arrays = standardise(windows.arrays, normalisation)
    names = model.spec.modality_names
    table = {}
    for presence in presences:
        present = {name: arrays[name] for name in presence.names(names)}
        unit_scores = scores(presence)
        row = []
        for ratio in ratios:
            keep = select_units(unit_scores, model.inventory, presence, ratio)
            logits = predict(model.select(presence, keep), present)
            row.append(float((logits.argmax(axis=1) == windows.label).mean()))
        table[presence.bits] = tuple(row)
        if progress is not None:
            progress()
    return table
