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
from sentryfuse.spec import ModalitySpec
from sentryfuse.units import BoolArray, Inventory
from sentryfuse.variants.graphs.attention import Attention
from sentryfuse.variants.graphs.embedding import Embedding, write_summaries
from sentryfuse.variants.graphs.feedforward import FeedForward, Mixture
from sentryfuse.variants.graphs.linear import Array, Linear
from sentryfuse.variants.graphs.writer import GraphWriter

OUTPUT = "logits"


def write_maestro(bundle: Bundle, inventory: Inventory, mask: Mask) -> bytes:
    """Return the serialised graph of the pruned model.

    Its inputs are raw windows ``[batch, length, channels]`` named after the modalities that are
    present; its output is ``logits [batch, classes]``.
    """
    return _Maestro(bundle, inventory, mask).write()


class _Maestro:
    def __init__(self, bundle: Bundle, inventory: Inventory, mask: Mask) -> None:
        self.spec = bundle.spec
        self.shape = bundle.spec.backbone
        self.weights = bundle.weights
        self.normalisation = bundle.normalisation
        self.inventory = inventory
        self.mask = mask
        self.graph = GraphWriter()

    def write(self) -> bytes:
        present = [self.spec.modalities[i] for i in self.mask.presence]
        windows = [self.graph.input(m.name, (m.length, m.channels)) for m in present]
        embeddings = [self._embedding(m) for m in present]
        summaries: Sequence[str | None] = [None] * len(present)
        if self.shape.summary_token:
            summaries = write_summaries(self.graph, windows, embeddings)
        encoded, offsets = [], []
        for modality, embedding, window, summary in zip(
            present, embeddings, windows, summaries, strict=True
        ):
            tokens = embedding.write(self.graph, window, summary)
            x, offset = self._encode(modality.name, tokens, len(embedding.position))
            encoded.append(x)
            offsets.append(offset)
        logits = self._fuse(encoded, np.concatenate(offsets))
        return self.graph.serialise(logits, name=OUTPUT, shape=(self.spec.num_classes,))

    def _embedding(self, modality: ModalitySpec) -> Embedding:
        return Embedding.read(
            self.weights,
            f"encoders.{modality.name}.embedding",
            modality,
            self.normalisation[modality.name],
            self.shape,
        )

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
            x = self._attend(layer, scope, graph.reshape(x, -1, d), tokens)
            block = FeedForward.read(
                self.weights, f"{layer}.feed_forward", self._keep(f"{scope}.ffn")
            )
            hidden = block.write_hidden(graph, self._norm(f"{layer}.feed_forward_norm", x))
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
            x = self._attend(scope, scope, x, tokens)
            mixture = Mixture.read(
                self.weights,
                f"{scope}.feed_forward",
                self._keep(f"{scope}.moe"),
                group=self.shape.expert_dim,
                experts_per_token=self.shape.experts_per_token,
            )
            hidden = mixture.write_hidden(graph, self._norm(f"{scope}.feed_forward_norm", x))
            x = graph.node("Add", x, graph.linear(hidden, mixture.channels.project))
        # A product with one row of 1 / tokens is the mean, faster than ReduceMean.
        mean = graph.constant(np.full((1, tokens), 1 / tokens))
        pooled = graph.node("MatMul", mean, graph.reshape(self._norm("norm", x), -1, tokens, d))
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
        attended = attention.write(
            self.graph,
            self._norm(f"{layer}.attention_norm", x),
            tokens=tokens,
            active_queries=self.shape.active_queries(tokens),
        )
        return self.graph.node("Add", x, attended)

    def _norm(self, name: str, x: str) -> str:
        return self.graph.layer_norm(x, self.weights, name)

    def _keep(self, layer: str) -> BoolArray:
        return self.mask.keep[self.inventory[layer].units]
