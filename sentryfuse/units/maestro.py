"""Parts of the ``maestro`` backbone; its module is ``learn/backbones/maestro.py``."""

from __future__ import annotations

from sentryfuse.spec import ModelSpec
from sentryfuse.units.blocks import LayoutBuilder, encoded_tokens
from sentryfuse.units.layout import ONCE, Layout, Rows, linear, norm


def maestro_layout(spec: ModelSpec) -> Layout:
    """Encoders in modality order, then the fusion; in each layer heads, then channels."""
    shape, d = spec.backbone, spec.backbone.embed_dim
    layout = LayoutBuilder(spec)
    layout.encoders()
    tokens = Rows(present=tuple(encoded_tokens(spec)))
    for depth in range(shape.fusion_layers):
        scope = f"fusion.{depth}"
        layout.attention(f"{scope}.attention", scope, tokens)
        layout.parts += norm(f"{scope}.feed_forward_norm", d, tokens)
        layout.parts += linear(f"{scope}.feed_forward.router", d, shape.num_experts, tokens)
        layout.channels(
            f"{scope}.moe",
            f"{scope}.feed_forward",
            tokens,
            count=shape.num_experts * shape.expert_dim,
            group=shape.expert_dim,
        )
    layout.parts += norm("norm", d, ONCE) + linear("pooled", d, d, ONCE)
    layout.classifier()
    return layout.build()
