"""What backbones share: the transformer layer, and the encoder of one modality."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sentryfuse.learn.backbones.scales import UnitScales
from sentryfuse.learn.nn import (
    Experts,
    FeedForward,
    PairMerge,
    PatchEmbedding,
    SentryAttend,
    SharedSentryAttend,
)
from sentryfuse.spec import BackboneSpec, ModalitySpec
from sentryfuse.units import BoolArray, Inventory

_FORMS = {"by_head": SentryAttend, "shared": SharedSentryAttend}


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual connection."""

    def __init__(self, shape: BackboneSpec, feed_forward: FeedForward | Experts) -> None:
        super().__init__()
        heads_per_group = shape.num_heads // shape.num_kv_heads
        self.attention_norm = nn.LayerNorm(shape.embed_dim)
        self.attention = _FORMS[shape.sparse_form](
            embed_dim=shape.embed_dim,
            head_dim=shape.head_dim,
            kv_index=[head // heads_per_group for head in range(shape.num_heads)],
            sparse_factor=shape.sparse_factor,
            sparse_from=shape.sparse_from,
        )
        self.feed_forward_norm = nn.LayerNorm(shape.embed_dim)
        self.feed_forward = feed_forward

    def forward(
        self, x: Tensor, head_scale: Tensor | None = None, channel_scale: Tensor | None = None
    ) -> Tensor:
        """Transform ``[batch, time, embed_dim]``; scales are ``[batch or 1, units]``."""
        x = self.attend(x, head_scale)
        change: Tensor = self.feed_forward(self.feed_forward_norm(x), channel_scale=channel_scale)
        return x + change

    def attend(self, x: Tensor, head_scale: Tensor | None = None) -> Tensor:
        """Do the first half of the layer."""
        change: Tensor = self.attention(self.attention_norm(x), head_scale=head_scale)
        return x + change

    def select_heads(self, heads: Sequence[int]) -> None:
        """Keep only these query heads."""
        self.attention = self.attention.select_heads(heads)


class ModalityEncoder(nn.Module):
    """Patches, transformer layers that each halve the tokens, and a place in the fusion."""

    def __init__(self, modality: ModalitySpec, shape: BackboneSpec) -> None:
        super().__init__()
        d = shape.embed_dim
        self.scope = f"encoders.{modality.name}"
        self.embedding = PatchEmbedding(
            length=modality.length,
            channels=modality.channels,
            patch_length=shape.patch_length(modality),
            embed_dim=d,
            statistics=shape.statistics(modality),
            gaps=modality.gaps,
            step_length=shape.step_length(modality),
            standardise_statistics=shape.standardise_summary,
            feature_dropout=shape.feature_dropout,
            feature_limit=shape.feature_limit,
            sample_norm=shape.sample_norm,
        )
        self.layers = nn.ModuleList(
            TransformerLayer(shape, FeedForward(embed_dim=d, hidden_dim=shape.ffn_dim))
            for _ in range(shape.encoder_layers)
        )
        self.merges = nn.ModuleList(PairMerge(embed_dim=d) for _ in range(shape.encoder_layers))
        out_tokens = shape.encoder_tokens(modality)[-1]
        self.fusion_position = nn.Parameter(torch.randn(out_tokens, d) * 0.02)

    def forward(self, x: Tensor, scales: UnitScales) -> Tensor:
        """Turn ``[batch, length, channels]`` into fusion tokens ``[batch, time, embed_dim]``."""
        x = self.embedding(x)
        for depth, (layer, merge) in enumerate(zip(self.layers, self.merges, strict=True)):
            scope = f"{self.scope}.{depth}"
            x = merge(layer(x, scales[f"{scope}.attention"], scales[f"{scope}.ffn"]))
        return x + self.fusion_position

    def select_units(self, inventory: Inventory, keep: BoolArray) -> None:
        """Keep only these units, ``[num_units]``."""
        for depth, layer in enumerate(self.layers):
            assert isinstance(layer, TransformerLayer)
            assert isinstance(layer.feed_forward, FeedForward)
            layer.select_heads(inventory.kept(f"{self.scope}.{depth}.attention", keep))
            channels = inventory.kept(f"{self.scope}.{depth}.ffn", keep)
            layer.feed_forward = layer.feed_forward.select_channels(channels)
