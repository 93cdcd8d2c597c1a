"""Rewrite weights so that layer normalisation need not subtract a mean.

Where a residual stream is read by nothing but layer norms, its mean over the features never
matters. Taking the mean out of everything that writes to the stream keeps the stream centred,
and LayerNorm becomes RMSNorm exactly (Jiang et al. 2023, arXiv 2305.14858), at half its cost in
ONNX Runtime. The shift of the norm moves into the biases of the maps that read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from sentryfuse.variants.graphs.linear import Array, Weights


def centre_stream(
    weights: Weights,
    *,
    writers: Iterable[str],
    positions: Iterable[str],
    readers: Mapping[str, Iterable[str]],
) -> dict[str, Array]:
    """Return weights under which every norm in ``readers`` is an RMS norm without shift.

    Args:
        weights: All weights of the model.
        writers: Linear maps whose output is added to the stream.
        positions: Arrays ``[time, embed_dim]`` that are added to the stream.
        readers: The linear maps that read each norm.
    """
    centred: dict[str, Array] = dict(weights)
    for name in writers:
        for array in (f"{name}.weight", f"{name}.bias"):
            values = weights[array].astype(np.float64)
            centred[array] = values - values.mean(axis=0)
    for name in positions:
        values = weights[name].astype(np.float64)
        centred[name] = values - values.mean(axis=1, keepdims=True)
    for norm, maps in readers.items():
        shift = centred.pop(f"{norm}.bias").astype(np.float64)
        for name in maps:
            centred[f"{name}.bias"] = weights[f"{name}.bias"] + weights[f"{name}.weight"] @ shift
    return centred
