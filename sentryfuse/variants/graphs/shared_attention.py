"""Sparse attention with one choice of tokens for all heads; twin of ``SharedSentryAttend``.

Only chosen tokens pass the query and output projections. For all others a layer adds one and the
same vector, the projected mean value, so that a sum over all rows and a scatter of a few is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sentryfuse.variants.graphs.attention import Attention
from sentryfuse.variants.graphs.linear import Linear
from sentryfuse.variants.graphs.writer import GraphWriter


@dataclass(frozen=True, slots=True)
class SharedAttention:
    """An attention layer taken apart: what all tokens need, and what only the chosen do."""

    layer: Attention
    query: Linear
    key_value: Linear
    """Keys, then values, of the key/value heads that stay."""
    mean_output: Linear
    """The output projection as it reads the mean value of each key/value head."""

    tokens: int
    """Tokens of one window."""
    active_queries: int
    """Tokens that attend, fewer than ``tokens``."""

    @classmethod
    def of(cls, layer: Attention, *, tokens: int, active_queries: int) -> SharedAttention:
        """Take a layer apart."""
        width = layer.output.weight.shape[1]
        rows = np.arange(layer.projection.num_outputs)
        by_lane = layer.output.weight.reshape(-1, layer.group, len(layer.lanes), layer.head_dim)
        mean_output = np.zeros((len(by_lane), max(layer.lanes) + 1, layer.head_dim))
        for lane, kv_head in enumerate(layer.lanes):
            mean_output[:, kv_head] += by_lane[:, :, lane].sum(axis=1)
        return cls(
            layer=layer,
            query=layer.projection.outputs(rows[:width]),
            key_value=layer.projection.outputs(rows[width:]),
            mean_output=Linear(mean_output.reshape(len(by_lane), -1), layer.output.bias),
            tokens=tokens,
            active_queries=active_queries,
        )

    def write(self, graph: GraphWriter, x: str, normed: str, *, first_rows: str) -> str:
        """Attend and add the rows ``x``.

        Args:
            graph: Where the nodes go.
            x: Tokens, ``[batch * tokens, embed_dim]``.
            normed: The same, normalised.
            first_rows: Row of each window's first token, ``[batch, 1, 1]``.

        Returns:
            ``[batch * tokens, embed_dim]``.
        """
        d, half = len(self.layer.output.bias), self.key_value.num_outputs // 2
        kv = graph.reshape(graph.linear(normed, self.key_value), -1, self.tokens, 2 * half)
        keys, values = graph.nodes("Split", kv, graph.integers(half, half), outputs=2, axis=-1)
        # A product with rows of 1 / tokens is the mean, faster than ReduceMean.
        average = graph.constant(np.full((1, self.tokens), 1 / self.tokens))
        top = self._outstanding(graph, keys, average)  # [batch, u, 1]
        rows = graph.reshape(graph.node("Add", top, first_rows), -1, 1)  # [batch * u, 1]
        attended = self._attend(graph, graph.node("GatherND", normed, rows), keys, values)
        mean = graph.reshape(graph.node("MatMul", average, values), -1, half)
        rest = graph.reshape(graph.linear(mean, self.mean_output), -1, 1, d)
        everywhere = graph.node("Add", graph.reshape(x, -1, self.tokens, d), rest)
        change = graph.node("Sub", graph.reshape(attended, -1, self.active_queries, d), rest)
        return graph.node(
            "ScatterND",
            graph.reshape(everywhere, -1, d),
            rows,
            graph.reshape(change, -1, d),
            reduction="add",
        )

    def _outstanding(self, graph: GraphWriter, keys: str, average: str) -> str:
        """Which tokens have the keys farthest from the mean, ``[batch, u, 1]``."""
        offset = graph.node("Sub", keys, graph.node("MatMul", average, keys))
        distance = graph.node("ReduceSumSquare", offset, graph.integers(2))  # [batch, tokens, 1]
        count = graph.integers(self.active_queries)
        return graph.nodes("TopK", distance, count, outputs=2, axis=1, sorted=0)[1]

    def _attend(self, graph: GraphWriter, chosen: str, keys: str, values: str) -> str:
        """Let the chosen tokens ``[batch * u, embed_dim]`` attend."""
        layer, lanes = self.layer, self.layer.lanes
        q = graph.reshape(
            graph.linear(chosen, self.query),
            -1,
            self.active_queries * layer.group,
            len(lanes) * layer.head_dim,
        )
        heads = graph.node(
            "Attention",
            q,
            _by_lane(graph, keys, lanes, layer.head_dim),
            _by_lane(graph, values, lanes, layer.head_dim),
            q_num_heads=len(lanes),
            kv_num_heads=len(lanes),
        )
        return graph.linear(graph.reshape(heads, -1, self.query.num_outputs), layer.output)


def _by_lane(graph: GraphWriter, x: str, lanes: Sequence[int], head_dim: int) -> str:
    """Hand each lane its key/value head of ``[batch, tokens, kv heads * head_dim]``."""
    kept = max(lanes) + 1
    if kept == len(lanes):
        return x
    heads = graph.nodes("Split", x, graph.integers(*[head_dim] * kept), outputs=kept, axis=-1)
    return graph.node("Concat", *(heads[i] for i in lanes), axis=-1)
