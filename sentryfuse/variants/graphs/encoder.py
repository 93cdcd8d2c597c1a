"""One modality's encoder as graph nodes; twin of ``learn/backbones/encoder.py``."""

from __future__ import annotations

import numpy as np

from sentryfuse.spec import ModelSpec
from sentryfuse.variants.graphs.draft import Draft
from sentryfuse.variants.graphs.feedforward import FeedForward
from sentryfuse.variants.graphs.linear import Array
from sentryfuse.variants.graphs.stream import Stream

PROJECTIONS = ("query", "key", "value")


def encoder_streams(spec: ModelSpec) -> list[Stream]:
    """Return the streams of all encoder layers."""
    layers = range(spec.backbone.encoder_layers)
    return [_stream(spec, modality, depth) for modality in spec.modality_names for depth in layers]


def encoder_ends(spec: ModelSpec) -> list[str]:
    """Name the maps that write the tokens which the encoders hand to the fusion."""
    last = spec.backbone.encoder_layers - 1
    return [f"encoders.{modality}.merges.{last}.project" for modality in spec.modality_names]


def encode(draft: Draft, name: str, x: str, tokens: int) -> tuple[str, Array]:
    """Encode tokens ``[batch, tokens, embed_dim]`` of one modality.

    Returns:
        Fusion tokens ``[batch, time, embed_dim]``, and what is still to be added to them.
    """
    graph, d = draft.graph, draft.shape.embed_dim
    offset: Array = np.zeros((tokens, d))
    for depth in range(draft.shape.encoder_layers):
        layer, scope = f"encoders.{name}.layers.{depth}", f"encoders.{name}.{depth}"
        if depth:
            x = graph.node("Add", x, graph.constant(offset))
        x = draft.attend(graph.reshape(x, -1, d), layer=layer, scope=scope, tokens=tokens)
        block = FeedForward.read(draft.weights, f"{layer}.feed_forward", draft.keep(f"{scope}.ffn"))
        hidden = block.write_hidden(graph, draft.norm(x))
        # One node projects and adds x; the bias joins the next constant that is added.
        x = graph.node("Gemm", hidden, graph.constant(block.project.weight), x, transB=1)
        offset = np.tile(block.project.bias, (tokens, 1))
        x, offset = _merge(draft, f"encoders.{name}.merges.{depth}.project", x, offset)
        tokens = len(offset)
    return x, offset + draft.weights[f"encoders.{name}.fusion_position"]


def _merge(draft: Draft, name: str, x: str, offset: Array) -> tuple[str, Array]:
    """Halve the tokens; ``offset [tokens, embed_dim]`` is still to be added to rows ``x``."""
    graph, (tokens, d) = draft.graph, offset.shape
    project = draft.linear(name)
    odd = tokens % 2
    if odd:
        x = graph.reshape(x, -1, tokens, d)
        x = graph.node("Pad", x, graph.integers(0, 0, 0, 0, 1, 0))
    pairs = graph.reshape(x, -1, (tokens + odd) // 2, 2 * d)
    merged = graph.node("MatMul", pairs, graph.constant(project.weight.T))
    offset_pairs = np.pad(offset, ((0, odd), (0, 0))).reshape(-1, 2 * d)
    return merged, offset_pairs @ project.weight.T + project.bias


def _stream(spec: ModelSpec, modality: str, depth: int) -> Stream:
    """Return the stream of one encoder layer, from the tokens' making to their merge."""
    encoder = f"encoders.{modality}"
    layer, embedding = f"{encoder}.layers.{depth}", f"{encoder}.embedding"
    if depth:
        sources, positions = [f"{encoder}.merges.{depth - 1}.project"], []
    else:
        parts = ["project", "summary"] if spec.backbone.summary_token else ["project"]
        sources, positions = [f"{embedding}.{p}" for p in parts], [f"{embedding}.position"]
    return Stream(
        width=spec.backbone.embed_dim,
        writers=[*sources, f"{layer}.attention.output", f"{layer}.feed_forward.project"],
        positions=positions,
        norms={
            f"{layer}.attention_norm": [f"{layer}.attention.{p}" for p in PROJECTIONS],
            f"{layer}.feed_forward_norm": [f"{layer}.feed_forward.expand"],
        },
        merges=[f"{encoder}.merges.{depth}.project"],
    )
