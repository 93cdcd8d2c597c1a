"""The ``maestro`` backbone: an encoder for each modality, then fusion over all their tokens.

After MAESTRO (Mohapatra et al. 2025, arXiv 2509.25278). Same plan: tokens per modality, sparse
attention encoders that shorten the sequence, concatenation over time, a mixture of experts in
the fusion, mean-pooling. We differ where a deployed model gains: patches in place of SAX
symbols, pre-norm, a deterministic key probe, and an absent modality that is left out rather
than encoded as zeros (docs/decisions/0002). The torch-free twin is
``sentryfuse/variants/graphs/maestro.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.backbones.backbone import Answer, Backbone
from sentryfuse.learn.backbones.encoder import TransformerLayer
from sentryfuse.learn.backbones.scales import UnitScales
from sentryfuse.learn.nn import MixtureOfExperts
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.units import BoolArray


class Maestro(Backbone):
    """Per-modality encoders, fusion with a mixture of experts, mean-pooling, classifier.

    Args:
        spec: Shape of the unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        shape = spec.backbone
        d = shape.embed_dim
        self.fusion = nn.ModuleList(
            TransformerLayer(
                shape,
                MixtureOfExperts(
                    embed_dim=d,
                    expert_index=[
                        e for e in range(shape.num_experts) for _ in range(shape.expert_dim)
                    ],
                    num_experts=shape.num_experts,
                    experts_per_token=shape.experts_per_token,
                ),
            )
            for _ in range(shape.fusion_layers)
        )
        self.norm = nn.LayerNorm(d)
        self.pooled = nn.Linear(d, d)
        self.classifier = nn.Linear(d, spec.num_classes)

    def fuse(self, tokens: Mapping[str, Tensor], presence: Presence, scales: UnitScales) -> Answer:
        """Attend over all tokens, average them and classify."""
        x = torch.cat(list(tokens.values()), dim=1)  # [batch, fusion time, embed_dim]
        for depth, layer in enumerate(self.fusion):
            x = layer(x, scales[f"fusion.{depth}.attention"], scales[f"fusion.{depth}.moe"])
        pooled = self.norm(x).mean(dim=1)
        logits: Tensor = self.classifier(F.gelu(self.pooled(pooled)))
        return Answer(logits, auxiliary_loss=logits.new_zeros(()))

    def select_fusion(self, presence: Presence, keep: BoolArray) -> None:
        """Drop pruned units."""
        for depth, layer in enumerate(self.fusion):
            assert isinstance(layer, TransformerLayer)
            assert isinstance(layer.feed_forward, MixtureOfExperts)
            layer.select_heads(self.inventory.kept(f"fusion.{depth}.attention", keep))
            channels = self.inventory.kept(f"fusion.{depth}.moe", keep)
            layer.feed_forward = layer.feed_forward.select_channels(channels)
