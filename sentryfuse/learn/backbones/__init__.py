"""Multimodal transformers, by the name that a spec gives them."""

from sentryfuse.learn.backbones.maestro import Maestro
from sentryfuse.learn.backbones.registry import build_backbone

__all__ = ["Maestro", "build_backbone"]
