"""Parts of the ``flexmoe`` backbone; its module is ``learn/backbones/flexmoe.py``."""

from __future__ import annotations

from dataclasses import replace

from sentryfuse.spec import ModelSpec
from sentryfuse.units.blocks import LayoutBuilder, encoded_tokens
from sentryfuse.units.layout import NEVER, ONCE, Layout, Part, Rows, linear, norm


def flexmoe_layout(spec: ModelSpec) -> Layout:
    """Encoders in modality order, then the fusion, which sees the bank's tokens as well."""
    shape, d, size = spec.backbone, spec.backbone.embed_dim, len(spec.modalities)
    layout = LayoutBuilder(spec)
    layout.encoders()
    bank = Rows(absent=(shape.bank_tokens,) * size)
    bank_shape = (size, shape.bank_rank, shape.bank_tokens, d)
    # A sliced model keeps the tokens themselves, not what they are made of.
    layout.parts += [
        Part(name="bank.observed", shape=bank_shape[:2], rows=NEVER),
        Part(name="bank.missing", shape=bank_shape, rows=bank, kept_per_row=d),
    ]
    tokens = Rows(present=tuple(encoded_tokens(spec)), absent=bank.absent)
    for depth in range(shape.fusion_layers):
        scope = f"fusion.{depth}"
        layout.attention(f"{scope}.attention", scope, tokens)
        layout.parts += norm(f"{scope}.feed_forward_norm", d, tokens)
        routers = f"{scope}.feed_forward.routers"
        layout.parts += [
            *linear(
                f"{routers}.generalised", d, shape.num_experts, replace(tokens, only="complete")
            ),
            *linear(
                f"{routers}.specialised", d, shape.num_experts, replace(tokens, only="incomplete")
            ),
        ]
        layout.channels(
            f"{scope}.moe",
            f"{scope}.feed_forward",
            tokens,
            count=shape.num_experts * shape.expert_dim,
            group=shape.expert_dim,
        )
    layout.parts += norm("norm", d, ONCE) + linear("pooled", size * d, d, ONCE)
    layout.classifier()
    return layout.build()
