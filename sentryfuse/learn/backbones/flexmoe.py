"""The ``flexmoe`` backbone: stand-ins for absent modalities, and two routers.

After Flex-MoE (Yun et al. 2024, arXiv 2410.08245). Same plan: a bank of tokens takes the place of
absent modalities, all tokens attend to one another, a generalised router sends the tokens of
complete samples to balanced experts, a specialised one learns to send those of an incomplete
sample first to the expert of its combination, and the head reads one mean for each modality.
Where we differ stands in docs/decisions/0010. The torch-free twin is
``sentryfuse/variants/graphs/flexmoe.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.backbones.backbone import Answer, Backbone
from sentryfuse.learn.backbones.encoder import TransformerLayer
from sentryfuse.learn.backbones.scales import UnitScales
from sentryfuse.learn.nn import MissingBank, RoutedExperts, balance_loss
from sentryfuse.presence import Presence
from sentryfuse.spec import BackboneSpec, ModelSpec
from sentryfuse.units import BoolArray


class FlexMoE(Backbone):
    """Per-modality encoders, missing-modality bank, routed fusion, one mean for each modality.

    Args:
        spec: Shape of the unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        shape = spec.backbone
        d = shape.embed_dim
        self.bank: nn.Module = MissingBank(
            num_modalities=len(spec.modalities),
            rank=shape.bank_rank,
            tokens=shape.bank_tokens,
            embed_dim=d,
        )
        self.fusion = nn.ModuleList(
            TransformerLayer(shape, _experts(shape)) for _ in range(shape.fusion_layers)
        )
        self.norm = nn.LayerNorm(d)
        self.pooled = nn.Linear(len(spec.modalities) * d, d)
        self.classifier = nn.Linear(d, spec.num_classes)

    def fuse(self, tokens: Mapping[str, Tensor], presence: Presence, scales: UnitScales) -> Answer:
        """Fill in for what is absent, attend over all tokens, classify from a mean for each."""
        parts = list(tokens.values())
        lengths = [part.shape[1] for part in parts]
        bank: Tensor = self.bank(presence.indices)  # [absent * bank_tokens, embed_dim]
        x = torch.cat([*parts, bank.expand(len(parts[0]), -1, -1)], dim=1)
        auxiliary_loss = x.new_zeros(())
        for depth, layer in enumerate(self.fusion):
            assert isinstance(layer, TransformerLayer)
            assert isinstance(layer.feed_forward, RoutedExperts)
            x = layer.attend(x, scales[f"fusion.{depth}.attention"])
            normed = layer.feed_forward_norm(x)
            logits = layer.feed_forward.route(router_of(presence), normed)
            x = x + layer.feed_forward(normed, logits, channel_scale=scales[f"fusion.{depth}.moe"])
            auxiliary_loss = auxiliary_loss + self._router_loss(logits, presence)
        lengths += [self.spec.backbone.bank_tokens] * presence.num_missing
        means = torch.stack(
            [part.mean(dim=1) for part in torch.split(self.norm(x), lengths, dim=1)]
        )
        features = means[_places(presence)].transpose(0, 1).flatten(1)
        return Answer(self.classifier(F.gelu(self.pooled(features))), auxiliary_loss)

    def select_fusion(self, presence: Presence, keep: BoolArray) -> None:
        """Drop pruned units, the other router, and of the bank all but this presence's tokens."""
        assert isinstance(self.bank, MissingBank)
        self.bank = self.bank.select(presence.indices)
        for depth, layer in enumerate(self.fusion):
            assert isinstance(layer, TransformerLayer)
            assert isinstance(layer.feed_forward, RoutedExperts)
            layer.select_heads(self.inventory.kept(f"fusion.{depth}.attention", keep))
            channels = self.inventory.kept(f"fusion.{depth}.moe", keep)
            layer.feed_forward = layer.feed_forward.select(channels, [router_of(presence)])

    def _router_loss(self, logits: Tensor, presence: Presence) -> Tensor:
        """Balance for complete samples; the combination's own expert for the others."""
        shape = self.spec.backbone
        if not presence.num_missing:
            return balance_loss(logits, shape.experts_per_token)
        rows = logits.flatten(0, 1)
        expert = expert_of(presence, shape.num_experts)
        return F.cross_entropy(rows, torch.full((len(rows),), expert, device=rows.device))


def router_of(presence: Presence) -> str:
    """Which router serves samples of this presence."""
    return "specialised" if presence.num_missing else "generalised"


def expert_of(presence: Presence, num_experts: int) -> int:
    """Expert to which the specialised router sends this combination first.

    Expert 0 is that of complete samples. There are more combinations than experts, so several
    share one.
    """
    if not presence.num_missing or num_experts == 1:
        return 0
    return 1 + (presence.bits - 1) % (num_experts - 1)


def _experts(shape: BackboneSpec) -> RoutedExperts:
    return RoutedExperts(
        embed_dim=shape.embed_dim,
        expert_index=[e for e in range(shape.num_experts) for _ in range(shape.expert_dim)],
        num_experts=shape.num_experts,
        experts_per_token=shape.experts_per_token,
        routers={
            name: nn.Linear(shape.embed_dim, shape.num_experts)
            for name in ("generalised", "specialised")
        },
    )


def _places(presence: Presence) -> list[int]:
    """Where each modality's tokens stand: first the present ones, then the absent ones."""
    absent = [i for i in range(presence.size) if i not in presence]
    order = [*presence, *absent]
    return [order.index(i) for i in range(presence.size)]
