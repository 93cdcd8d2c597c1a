"""Which arrays a bundle's weights must hold: names and shapes, by backbone.

The names are those of the torch module's ``state_dict``; a parity test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.spec import SUMMARY_STATISTICS, BackboneSpec, ModelSpec

Shapes = dict[str, tuple[int, ...]]


def weight_shapes(spec: ModelSpec) -> Shapes:
    """Return the shape of every weight array of an unpruned model, by name.

    Raises:
        ConfigError: The spec names a backbone that does not exist.
    """
    kind = spec.backbone.kind
    if kind not in _SHAPES:
        raise ConfigError(f"backbone.kind must be one of {sorted(_SHAPES)}, got {kind!r}")
    return _SHAPES[kind](spec)


def check_weights(spec: ModelSpec, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Refuse weights that are not this spec's.

    Raises:
        BundleError: An array is missing, unknown, of another shape or not all finite.
    """
    expected = weight_shapes(spec)
    for name in sorted(expected.keys() ^ weights.keys()):
        raise BundleError(f"weights {'lack' if name in expected else 'have an unknown'} {name!r}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise BundleError(f"weight {name!r} must be {shape}, got {weights[name].shape}")
        if not np.isfinite(weights[name]).all():
            raise BundleError(f"weight {name!r} holds a value that is not finite")


def _maestro(spec: ModelSpec) -> Shapes:
    shape, d = spec.backbone, spec.backbone.embed_dim
    shapes: Shapes = {}
    for modality in spec.modalities:
        scope = f"encoders.{modality.name}"
        tokens = shape.encoder_tokens(modality)
        patch_dim = shape.patch_length(modality) * modality.channels
        shapes |= _linear(f"{scope}.embedding.project", patch_dim, d)
        if shape.summary_token:
            statistics = SUMMARY_STATISTICS * modality.channels
            shapes |= _linear(f"{scope}.embedding.summary", statistics, d)
        shapes[f"{scope}.embedding.position"] = (tokens[0], d)
        for depth in range(shape.encoder_layers):
            layer = f"{scope}.layers.{depth}"
            shapes |= _attention(layer, shape)
            shapes |= _linear(f"{layer}.feed_forward.expand", d, shape.ffn_dim)
            shapes |= _linear(f"{layer}.feed_forward.project", shape.ffn_dim, d)
            shapes |= _linear(f"{scope}.merges.{depth}.project", 2 * d, d)
        shapes[f"{scope}.fusion_position"] = (tokens[-1], d)
    for depth in range(shape.fusion_layers):
        layer = f"fusion.{depth}"
        channels = shape.num_experts * shape.expert_dim
        shapes |= _attention(layer, shape)
        shapes |= _linear(f"{layer}.feed_forward.router", d, shape.num_experts)
        shapes |= _linear(f"{layer}.feed_forward.expand", d, channels)
        shapes |= _linear(f"{layer}.feed_forward.project", channels, d)
    shapes |= _norm("norm", d) | _linear("pooled", d, d)
    return shapes | _linear("classifier", d, spec.num_classes)


def _attention(layer: str, shape: BackboneSpec) -> Shapes:
    d = shape.embed_dim
    width, kv_width = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    return (
        _norm(f"{layer}.attention_norm", d)
        | _linear(f"{layer}.attention.query", d, width)
        | _linear(f"{layer}.attention.key", d, kv_width)
        | _linear(f"{layer}.attention.value", d, kv_width)
        | _linear(f"{layer}.attention.output", width, d)
        | _norm(f"{layer}.feed_forward_norm", d)
    )


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


_SHAPES: dict[str, Callable[[ModelSpec], Shapes]] = {"maestro": _maestro}
