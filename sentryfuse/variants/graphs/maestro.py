"""The ``maestro`` backbone as an ONNX graph; torch-free twin of ``learn/backbones/maestro.py``.

Written for one core and few windows: tokens are handled as rows ``[batch * tokens, embed_dim]``,
so that a matrix product takes its bias along, and constants are folded while writing. Parity
tests hold the two files together for every presence and ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentryfuse.bundle import Bundle
from sentryfuse.pruning import Mask
from sentryfuse.spec import ModelSpec
from sentryfuse.units import BoolArray, Inventory
from sentryfuse.variants.graphs.attention import Attention
from sentryfuse.variants.graphs.embedding import Embedding, write_summaries
from sentryfuse.variants.graphs.feedforward import FeedForward, Mixture
from sentryfuse.variants.graphs.linear import Array, Linear, Weights
from sentryfuse.variants.graphs.stream import Stream, turn_stream
from sentryfuse.variants.graphs.writer import GraphWriter

OUTPUT = "model.logits"

_PROJECTIONS = ("query", "key", "value")


class MaestroGraphs:
    """Writes the graph of any mask of one bundle; any number of threads may share it.

    What does not depend on the mask is folded once, here.
    """

    def __init__(self, bundle: Bundle, inventory: Inventory) -> None:
        self._spec = bundle.spec
        self._inventory = inventory
        self._weights = _turn_streams(bundle)
        self._embeddings = tuple(
            Embedding.read(
                self._weights,
                f"encoders.{m.name}.embedding",
                m,
                bundle.normalisation[m.name],
                bundle.spec.backbone,
            )
            for m in bundle.spec.modalities
        )

    def write(self, mask: Mask) -> bytes:
        """Return the serialised graph of the pruned model.

        Its inputs are raw windows ``[batch, length, channels]`` named after the modalities that
        are present; its output is ``[batch, classes]``.
        """
        writer = _MaestroWriter(self._spec, self._inventory, self._weights, mask)
        return writer.write([self._embeddings[i] for i in mask.presence])


def _turn_streams(bundle: Bundle) -> Weights:
    """Make every layer norm an RMS norm."""
    weights: Weights = bundle.weights
    for modality in bundle.spec.modality_names:
        for depth in range(bundle.spec.backbone.encoder_layers):
            weights = turn_stream(weights, _encoder_stream(bundle.spec, modality, depth))
    return turn_stream(weights, _fusion_stream(bundle.spec))


def _encoder_stream(spec: ModelSpec, modality: str, depth: int) -> Stream:
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
            f"{layer}.attention_norm": [f"{layer}.attention.{p}" for p in _PROJECTIONS],
            f"{layer}.feed_forward_norm": [f"{layer}.feed_forward.expand"],
        },
        merges=[f"{encoder}.merges.{depth}.project"],
    )


def _fusion_stream(spec: ModelSpec) -> Stream:
    """Return the stream of the tokens of all modalities, from the merges to the classifier."""
    encoders = [f"encoders.{modality}" for modality in spec.modality_names]
    layers = [f"fusion.{depth}" for depth in range(spec.backbone.fusion_layers)]
    last = spec.backbone.encoder_layers - 1
    outputs = ("attention.output", "feed_forward.project")
    norms = {"norm": ["pooled"]}
    for layer in layers:
        norms[f"{layer}.attention_norm"] = [f"{layer}.attention.{p}" for p in _PROJECTIONS]
        norms[f"{layer}.feed_forward_norm"] = [
            f"{layer}.feed_forward.{p}" for p in ("router", "expand")
        ]
    return Stream(
        width=spec.backbone.embed_dim,
        writers=[
            *(f"{encoder}.merges.{last}.project" for encoder in encoders),
            *(f"{layer}.{output}" for layer in layers for output in outputs),
        ],
        positions=[f"{encoder}.fusion_position" for encoder in encoders],
        norms=norms,
        merges=[],
    )


class _MaestroWriter:
    def __init__(self, spec: ModelSpec, inventory: Inventory, weights: Weights, mask: Mask) -> None:
        self.spec = spec
        self.shape = spec.backbone
        self.inventory = inventory
        self.weights = weights
        self.mask = mask
        self.graph = GraphWriter()
        self.no_scale = self.graph.constant(np.ones(self.shape.embed_dim))

    def write(self, embeddings: Sequence[Embedding]) -> bytes:
        modalities = [e.modality for e in embeddings]
        windows = [self.graph.input(m.name, (m.length, m.channels)) for m in modalities]
        summaries: Sequence[str | None] = [None] * len(windows)
        if self.shape.summary_token:
            summaries = write_summaries(self.graph, windows, embeddings)
        encoded, offsets = [], []
        for embedding, window, summary in zip(embeddings, windows, summaries, strict=True):
            tokens = embedding.write(self.graph, window, summary)
            x, offset = self._encode(embedding.modality.name, tokens, len(embedding.position))
            encoded.append(x)
            offsets.append(offset)
        logits = self._fuse(encoded, np.concatenate(offsets))
        return self.graph.serialise(logits, name=OUTPUT, shape=(self.spec.num_classes,))

    def _encode(self, name: str, x: str, tokens: int) -> tuple[str, Array]:
        """Encode tokens ``[batch, tokens, embed_dim]`` of one modality.

        Returns:
            Fusion tokens ``[batch, time, embed_dim]``, and what is still to be added to them.
        """
        graph, d = self.graph, self.shape.embed_dim
        offset: Array = np.zeros((tokens, d))
        for depth in range(self.shape.encoder_layers):
            layer, scope = f"encoders.{name}.layers.{depth}", f"encoders.{name}.{depth}"
            if depth:
                x = graph.node("Add", x, graph.constant(offset))
            x = graph.reshape(x, -1, d)
            x = graph.node("Add", x, self._attend(layer, scope, self._norm(x), tokens))
            block = FeedForward.read(
                self.weights, f"{layer}.feed_forward", self._keep(f"{scope}.ffn")
            )
            hidden = block.write_hidden(graph, self._norm(x))
            # One node projects and adds x; the bias joins the next constant that is added.
            x = graph.node("Gemm", hidden, graph.constant(block.project.weight), x, transB=1)
            offset = np.tile(block.project.bias, (tokens, 1))
            x, offset = self._merge(f"encoders.{name}.merges.{depth}.project", x, offset)
            tokens = len(offset)
        return x, offset + self.weights[f"encoders.{name}.fusion_position"]

    def _merge(self, name: str, x: str, offset: Array) -> tuple[str, Array]:
        """Halve the tokens; ``offset [tokens, embed_dim]`` is still to be added to rows ``x``."""
        graph, (tokens, d) = self.graph, offset.shape
        project = Linear.read(self.weights, name)
        odd = tokens % 2
        if odd:
            x = graph.reshape(x, -1, tokens, d)
            x = graph.node("Pad", x, graph.integers(0, 0, 0, 0, 1, 0))
        pairs = graph.reshape(x, -1, (tokens + odd) // 2, 2 * d)
        merged = graph.node("MatMul", pairs, graph.constant(project.weight.T))
        offset_pairs = np.pad(offset, ((0, odd), (0, 0))).reshape(-1, 2 * d)
        return merged, offset_pairs @ project.weight.T + project.bias

    def _fuse(self, encoded: Sequence[str], offset: Array) -> str:
        """Attend over all tokens of all modalities and classify; returns the logits."""
        graph, d, tokens = self.graph, self.shape.embed_dim, len(offset)
        x = graph.node("Concat", *encoded, axis=1) if len(encoded) > 1 else encoded[0]
        x = graph.reshape(graph.node("Add", x, graph.constant(offset)), -1, d)
        for depth in range(self.shape.fusion_layers):
            scope = f"fusion.{depth}"
            x = graph.node("Add", x, self._attend(scope, scope, self._norm(x), tokens))
            mixture = Mixture.read(
                self.weights,
                f"{scope}.feed_forward",
                self._keep(f"{scope}.moe"),
                group=self.shape.expert_dim,
                experts_per_token=self.shape.experts_per_token,
            )
            hidden = mixture.write_hidden(graph, self._norm(x))
            x = graph.node("Add", x, graph.linear(hidden, mixture.channels.project))
        # A product with one row of 1 / tokens is the mean, faster than ReduceMean.
        mean = graph.constant(np.full((1, tokens), 1 / tokens))
        pooled = graph.node("MatMul", mean, graph.reshape(self._norm(x), -1, tokens, d))
        pooled = graph.linear(graph.reshape(pooled, -1, d), Linear.read(self.weights, "pooled"))
        return graph.linear(graph.node("Gelu", pooled), Linear.read(self.weights, "classifier"))

    def _attend(self, layer: str, scope: str, x: str, tokens: int) -> str:
        attention = Attention.read(
            self.weights,
            f"{layer}.attention",
            self._keep(f"{scope}.attention"),
            head_dim=self.shape.head_dim,
            group=self.shape.num_heads // self.shape.num_kv_heads,
        )
        queries = self.shape.active_queries(tokens)
        return attention.write(self.graph, x, tokens=tokens, active_queries=queries)

    def _norm(self, x: str) -> str:
        # The epsilon of torch's layer norm is the default of this one.
        return self.graph.node("RMSNormalization", x, self.no_scale, axis=-1)

    def _keep(self, layer: str) -> BoolArray:
        return self.mask.keep[self.inventory[layer].units]
