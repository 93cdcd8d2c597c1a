"""A variant's graph under construction: one mask's units, and the blocks all backbones use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentryfuse.pruning import Mask
from sentryfuse.spec import ModelSpec
from sentryfuse.units import BoolArray, Inventory
from sentryfuse.variants.graphs.attention import Attention
from sentryfuse.variants.graphs.feedforward import Experts
from sentryfuse.variants.graphs.linear import Array, Linear, Weights
from sentryfuse.variants.graphs.shared_attention import SharedAttention
from sentryfuse.variants.graphs.writer import GraphWriter


class Draft:
    """Writes blocks with the units that one mask keeps.

    Tokens are handled as rows ``[batch * tokens, embed_dim]``, so that a matrix product takes
    its bias along.

    Args:
        spec: The unpruned model.
        inventory: Its units.
        weights: Its weights, with streams turned.
        mask: Units that stay.
    """

    def __init__(self, spec: ModelSpec, inventory: Inventory, weights: Weights, mask: Mask) -> None:
        self.spec = spec
        self.shape = spec.backbone
        self.weights = weights
        self.presence = mask.presence
        self.graph = GraphWriter()
        self._inventory = inventory
        self._mask = mask
        self._no_scale = self.graph.constant(np.ones(self.shape.embed_dim))
        self._first_rows: dict[int, str] = {}

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the modalities that are present."""
        return self.presence.names(self.spec.modality_names)

    def keep(self, layer: str) -> BoolArray:
        """Which units of a layer stay."""
        return self._mask.keep[self._inventory[layer].units]

    def linear(self, name: str) -> Linear:
        """Read an affine map."""
        return Linear.read(self.weights, name)

    def norm(self, x: str) -> str:
        """Normalise tokens of a turned stream."""
        # The epsilon of torch's layer norm is the default of this one.
        return self.graph.node("RMSNormalization", x, self._no_scale, axis=-1)

    def join(self, encoded: Sequence[str], offset: Array) -> str:
        """Put the tokens of all modalities side by side.

        Args:
            encoded: ``[batch, time, embed_dim]`` of each.
            offset: What is still to be added to all of them, ``[tokens, embed_dim]``. There may
                be more of it than of them: tokens that are the same in every window.
        """
        x = self.graph.node("Concat", *encoded, axis=1) if len(encoded) > 1 else encoded[0]
        return self.graph.node("Add", x, self.graph.constant(offset))

    def attend(self, x: str, *, layer: str, scope: str, tokens: int) -> str:
        """Normalise rows, attend, and add the rows.

        Args:
            x: ``[batch * tokens, embed_dim]``.
            layer: Beginning of the names of the weights.
            scope: Beginning of the name of the units.
            tokens: Tokens of one window.
        """
        attention = Attention.read(
            self.weights,
            f"{layer}.attention",
            self.keep(f"{scope}.attention"),
            head_dim=self.shape.head_dim,
            group=self.shape.num_heads // self.shape.num_kv_heads,
        )
        queries, normed = self.shape.active_queries(tokens), self.norm(x)
        if queries < tokens and self.shape.sparse_form == "shared":
            shared = SharedAttention.of(attention, tokens=tokens, active_queries=queries)
            return shared.write(self.graph, x, normed, first_rows=self.first_rows(tokens))
        y = attention.write(self.graph, normed, tokens=tokens, active_queries=queries)
        return self.graph.node("Add", x, y)

    def first_rows(self, tokens: int) -> str:
        """Row of each window's first token where windows have this many, ``[batch, 1, 1]``."""
        if tokens not in self._first_rows:
            graph = self.graph
            batch = graph.node("Shape", self.present[0], start=0, end=1)
            rows = graph.node("Mul", graph.node("Squeeze", batch), graph.integer(tokens))
            first = graph.node("Range", graph.integer(0), rows, graph.integer(tokens))
            self._first_rows[tokens] = graph.reshape(first, -1, 1, 1)
        return self._first_rows[tokens]

    def routed_layer(self, x: str, *, layer: str, router: str, tokens: int) -> str:
        """Write attention and experts behind a linear router over rows, as a whole layer."""
        x = self.attend(x, layer=layer, scope=layer, tokens=tokens)
        normed = self.norm(x)
        logits = self.graph.linear(normed, self.linear(f"{layer}.feed_forward.{router}"))
        experts = self.experts(f"{layer}.feed_forward", f"{layer}.moe")
        hidden = experts.write_hidden(self.graph, normed, logits)
        return self.graph.node("Add", x, self.graph.linear(hidden, experts.channels.project))

    def experts(self, name: str, layer: str) -> Experts:
        """Slice a pool of experts; ``layer`` names its units."""
        return Experts.read(
            self.weights,
            name,
            self.keep(layer),
            group=self.shape.expert_dim,
            experts_per_token=self.shape.experts_per_token,
        )

    def means(self, x: str, lengths: Sequence[int]) -> str:
        """Average stretches of tokens.

        Args:
            x: ``[batch * tokens, embed_dim]`` or ``[batch, tokens, embed_dim]``.
            lengths: Tokens of each stretch.

        Returns:
            ``[batch, stretches * embed_dim]``.
        """
        graph, d, tokens = self.graph, self.shape.embed_dim, sum(lengths)
        shares = np.repeat(np.eye(len(lengths)) / lengths, lengths, axis=0).T
        # A product with rows of 1 / tokens is the mean, faster than ReduceMean.
        pooled = graph.node("MatMul", graph.constant(shares), graph.reshape(x, -1, tokens, d))
        return graph.reshape(pooled, -1, len(lengths) * d)

    def classify(self, features: str, pooled: Linear) -> str:
        """Turn pooled features ``[batch, inputs of pooled]`` into logits."""
        hidden = self.graph.node("Gelu", self.graph.linear(features, pooled))
        return self.graph.linear(hidden, self.linear("classifier"))
