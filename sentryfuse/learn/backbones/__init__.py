"""Multimodal transformers, by the name that a spec gives them."""

from sentryfuse.learn.backbones.backbone import Answer, Backbone
from sentryfuse.learn.backbones.flexmoe import FlexMoE
from sentryfuse.learn.backbones.fusemoe import FuseMoE
from sentryfuse.learn.backbones.maestro import Maestro
from sentryfuse.learn.backbones.registry import build_backbone

__all__ = ["Answer", "Backbone", "FlexMoE", "FuseMoE", "Maestro", "build_backbone"]
