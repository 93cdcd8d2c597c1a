"""One place that maps ``BackboneSpec.kind`` to a module."""

from __future__ import annotations

from sentryfuse.errors import ConfigError
from sentryfuse.learn.backbones.backbone import Backbone
from sentryfuse.learn.backbones.flexmoe import FlexMoE
from sentryfuse.learn.backbones.fusemoe import FuseMoE
from sentryfuse.learn.backbones.maestro import Maestro
from sentryfuse.spec import ModelSpec

BACKBONES: dict[str, type[Backbone]] = {
    "flexmoe": FlexMoE,
    "fusemoe": FuseMoE,
    "maestro": Maestro,
}


def build_backbone(spec: ModelSpec) -> Backbone:
    """Return a freshly initialised backbone.

    Raises:
        ConfigError: The spec names a backbone that does not exist.
    """
    kind = spec.backbone.kind
    if kind not in BACKBONES:
        raise ConfigError(f"backbone.kind must be one of {sorted(BACKBONES)}, got {kind!r}")
    return BACKBONES[kind](spec)
