"""The ``maestro`` backbone: an encoder for each modality, then fusion over all their tokens.

After MAESTRO (Mohapatra et al. 2025, arXiv 2509.25278). Same plan: tokens per modality, sparse
attention encoders that shorten the sequence, concatenation over time, a mixture of experts in
the fusion, mean-pooling. We differ where a deployed model gains: patches in place of SAX
symbols, pre-norm, a deterministic key probe, and an absent modality that is left out rather
than encoded as zeros. The torch-free twin is ``sentryfuse/variants/graphs/maestro.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn import (
    FeedForward,
    MixtureOfExperts,
    PairMerge,
    PatchEmbedding,
    SentryAttend,
)
from sentryfuse.presence import Presence
from sentryfuse.spec import BackboneSpec, ModalitySpec, ModelSpec
from sentryfuse.units import BoolArray, Inventory


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual connection."""

    def __init__(self, shape: BackboneSpec, feed_forward: FeedForward | MixtureOfExperts) -> None:
        super().__init__()
        heads_per_group = shape.num_heads // shape.num_kv_heads
        self.attention_norm = nn.LayerNorm(shape.embed_dim)
        self.attention = SentryAttend(
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
        x = x + self.attention(self.attention_norm(x), head_scale=head_scale)
        x = x + self.feed_forward(self.feed_forward_norm(x), channel_scale=channel_scale)
        return x


class ModalityEncoder(nn.Module):
    """Patches, transformer layers that each halve the tokens, and a place in the fusion."""

    def __init__(self, modality: ModalitySpec, shape: BackboneSpec) -> None:
        super().__init__()
        d = shape.embed_dim
        self.embedding = PatchEmbedding(
            length=modality.length,
            channels=modality.channels,
            patch_length=shape.patch_length(modality),
            embed_dim=d,
            summary=shape.summary_token,
        )
        self.layers = nn.ModuleList(
            TransformerLayer(shape, FeedForward(embed_dim=d, hidden_dim=shape.ffn_dim))
            for _ in range(shape.encoder_layers)
        )
        self.merges = nn.ModuleList(PairMerge(embed_dim=d) for _ in range(shape.encoder_layers))
        out_tokens = shape.encoder_tokens(modality)[-1]
        self.fusion_position = nn.Parameter(torch.randn(out_tokens, d) * 0.02)

    def forward(self, x: Tensor, scales: list[tuple[Tensor | None, Tensor | None]]) -> Tensor:
        """Turn ``[batch, length, channels]`` into fusion tokens ``[batch, time, embed_dim]``."""
        x = self.embedding(x)
        for layer, merge, (head_scale, channel_scale) in zip(
            self.layers, self.merges, scales, strict=True
        ):
            x = merge(layer(x, head_scale, channel_scale))
        return x + self.fusion_position


class Maestro(nn.Module):
    """Per-modality encoders, fusion with a mixture of experts, mean-pooling, classifier.

    Args:
        spec: Shape of the unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.inventory = Inventory(spec)
        shape = spec.backbone
        d = shape.embed_dim
        self.encoders = nn.ModuleDict({m.name: ModalityEncoder(m, shape) for m in spec.modalities})
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

    def forward(self, inputs: Mapping[str, Tensor], scale: Tensor | None = None) -> Tensor:
        """Classify a batch whose rows all have the modalities that ``inputs`` names.

        Args:
            inputs: Standardised windows by modality, ``[batch, length, channels]``; absent
                modalities are left out and nothing of them is computed.
            scale: Factor on each unit, ``[num_units]`` or ``[batch, num_units]`` in the
                inventory's order; a hard mask of zeros and ones prunes.

        Returns:
            Logits, ``[batch, num_classes]``.
        """
        if scale is not None and scale.dim() == 1:
            scale = scale[None]
        tokens = torch.cat(
            [
                self.encoders[m.name](
                    inputs[m.name],
                    [
                        self._scales(scale, f"encoders.{m.name}.{depth}", "ffn")
                        for depth in range(self.spec.backbone.encoder_layers)
                    ],
                )
                for m in self.spec.modalities
                if m.name in inputs
            ],
            dim=1,
        )  # [batch, fusion time, embed_dim]
        for depth, layer in enumerate(self.fusion):
            tokens = layer(tokens, *self._scales(scale, f"fusion.{depth}", "moe"))
        pooled = self.norm(tokens).mean(dim=1)
        logits: Tensor = self.classifier(F.gelu(self.pooled(pooled)))
        return logits

    def select(self, presence: Presence, keep: BoolArray) -> Maestro:
        """Return a smaller model without the pruned units and the absent encoders.

        Exact: the new model computes what this one computes with the mask as ``scale``.

        Args:
            presence: Modalities that the new model reads.
            keep: Units that stay, ``[num_units]``.
        """
        pruned = Maestro(self.spec)
        pruned.load_state_dict(self.state_dict())
        pruned.to(next(self.parameters()).dtype).eval()
        absent = [m.name for i, m in enumerate(self.spec.modalities) if i not in presence]
        for name in absent:
            del pruned.encoders[name]
        for name, encoder in pruned.encoders.items():
            assert isinstance(encoder, ModalityEncoder)
            for depth, layer in enumerate(encoder.layers):
                self._shrink(layer, f"encoders.{name}.{depth}", "ffn", keep)
        for depth, layer in enumerate(pruned.fusion):
            self._shrink(layer, f"fusion.{depth}", "moe", keep)
        return pruned

    def _shrink(self, layer: nn.Module, scope: str, part: str, keep: BoolArray) -> None:
        heads = keep[self.inventory[f"{scope}.attention"].units].nonzero()[0].tolist()
        channels = keep[self.inventory[f"{scope}.{part}"].units].nonzero()[0].tolist()
        assert isinstance(layer, TransformerLayer)
        layer.attention = layer.attention.select_heads(heads)
        layer.feed_forward = layer.feed_forward.select_channels(channels)

    def _scales(
        self, scale: Tensor | None, scope: str, part: str
    ) -> tuple[Tensor | None, Tensor | None]:
        if scale is None:
            return None, None
        return (
            scale[:, self.inventory[f"{scope}.attention"].units],
            scale[:, self.inventory[f"{scope}.{part}"].units],
        )
