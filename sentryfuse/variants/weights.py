"""Which arrays a bundle's weights must hold: names and shapes.

The names are those of the torch module's ``state_dict``; a parity test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import BundleError
from sentryfuse.spec import BackboneSpec, ModelSpec
from sentryfuse.units import UnitLayer, layout_of

Shapes = dict[str, tuple[int, ...]]


def weight_shapes(spec: ModelSpec) -> Shapes:
    """Return the shape of every weight array of an unpruned model, by name.

    Raises:
        ConfigError: The spec names a backbone that does not exist.
    """
    layout = layout_of(spec)
    shapes: Shapes = {part.name: part.shape for part in layout.parts}
    for layer in layout.layers:
        shapes |= _unit_shapes(layer, spec.backbone)
    return shapes


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


def _unit_shapes(layer: UnitLayer, shape: BackboneSpec) -> Shapes:
    """Arrays that lose rows or columns with the layer's units; the output bias does not."""
    d = shape.embed_dim
    if layer.kind == "channel":
        return _inner(layer, {"expand": layer.count}, d) | _outer(layer, "project", layer.count, d)
    width = layer.count * shape.head_dim
    kv_width = layer.count // layer.group * shape.head_dim
    inner = {"query": width, "key": kv_width, "value": kv_width}
    return _inner(layer, inner, d) | _outer(layer, "output", width, d)


def _inner(layer: UnitLayer, maps: Mapping[str, int], d: int) -> Shapes:
    return {
        f"{layer.weights}.{name}.{array}": size
        for name, outputs in maps.items()
        for array, size in (("weight", (outputs, d)), ("bias", (outputs,)))
    }


def _outer(layer: UnitLayer, name: str, inputs: int, d: int) -> Shapes:
    return {f"{layer.weights}.{name}.weight": (d, inputs)}
