"""Turn residual streams so that no layer norm need subtract a mean.

LayerNorm is RMSNorm of the token without its mean over the features (Jiang et al. 2023,
arXiv 2305.14858), and RMSNorm takes half the time in ONNX Runtime. So we reflect each stream
such that the mean, and nothing else, stands in its last feature. Reflecting keeps lengths; it
moves into the weights that write to the stream and read from it, as do the scale and shift of
the norms. A merge reads tokens with their mean: the mean stays in the stream, but scaled down
so far that no norm notices. The scale is a power of two, so no digit is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.variants.graphs.linear import Array, Weights

Doubles = NDArray[np.float64]

# The mean's share of a token's squared length shrinks by the square of this: to nothing.
_MEAN_SCALE = 2.0**-16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Who writes to one residual stream and who reads from it, by name."""

    width: int
    """Features of a token."""
    writers: Sequence[str]
    """Linear maps whose output is added to the stream."""
    positions: Sequence[str]
    """Arrays ``[time, embed_dim]`` that are added to the stream."""
    norms: Mapping[str, Sequence[str]]
    """Layer norms that read the stream, with or without scale and shift, each with the linear
    maps that read the norm."""
    merges: Sequence[str]
    """Linear maps that read several tokens of the stream side by side."""


def turn_stream(weights: Weights, stream: Stream) -> dict[str, Array]:
    """Return weights that do the same with RMS norms, without scale and shift, for layer norms."""
    turned: dict[str, Array] = dict(weights)
    for name in stream.writers:
        turned[f"{name}.weight"] = _to_stream(weights[f"{name}.weight"].T).T
        turned[f"{name}.bias"] = _to_stream(weights[f"{name}.bias"])
    for name in stream.positions:
        turned[name] = _to_stream(weights[name])
    for norm, readers in stream.norms.items():
        scale = turned.pop(f"{norm}.weight", np.ones(stream.width))
        shift = turned.pop(f"{norm}.bias", np.zeros(stream.width))
        for name in readers:
            without_mean = _reflect(weights[f"{name}.weight"] * scale)
            without_mean[:, -1] = 0.0
            turned[f"{name}.weight"] = without_mean
            turned[f"{name}.bias"] = weights[f"{name}.bias"] + weights[f"{name}.weight"] @ shift
    for name in stream.merges:
        weight = weights[f"{name}.weight"]
        tokens = _reflect(weight.reshape(len(weight), -1, stream.width))
        tokens[..., -1] /= _MEAN_SCALE
        turned[f"{name}.weight"] = tokens.reshape(weight.shape)
    return turned


def _to_stream(x: Array) -> Doubles:
    turned = _reflect(x)
    turned[..., -1] *= _MEAN_SCALE
    return turned


def _reflect(x: Array) -> Doubles:
    """Reflect the last axis such that equal features become one, the last (Householder 1958)."""
    width = x.shape[-1]
    normal = np.full(width, width**-0.5)
    normal[-1] -= 1.0
    normal /= np.linalg.norm(normal) or 1.0  # a single feature stays where it is
    reflected: Doubles = x - 2.0 * (x @ normal)[..., None] * normal
    return reflected
