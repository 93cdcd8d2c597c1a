"""Grouped-query attention as graph nodes, dense and sparse; twin of ``learn.nn``'s blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sentryfuse.units import BoolArray
from sentryfuse.variants.graphs.linear import Index, Linear, Weights
from sentryfuse.variants.graphs.writer import GraphWriter


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention layer with only the heads that stay.

    The engine wants equally many query heads on each key/value head. Pruning leaves uneven
    groups; then a key/value head is stored once for every ``gcd`` of the group sizes, which
    changes nothing but its place.
    """

    projection: Linear
    """Queries, keys and values of one token, side by side."""
    output: Linear
    num_heads: int
    num_kv_heads: int
    head_dim: int

    @classmethod
    def read(
        cls, weights: Weights, name: str, keep: BoolArray, *, head_dim: int, group: int
    ) -> Attention:
        """Slice the layer ``name``; head h reads key/value head ``h // group``."""
        heads = keep.nonzero()[0]
        kv_of_head = heads // group
        even_group = math.gcd(*np.unique(kv_of_head, return_counts=True)[1].tolist())
        kv_heads = kv_of_head[::even_group]
        q_rows, kv_rows = _rows(heads, head_dim), _rows(kv_heads, head_dim)
        return cls(
            projection=Linear.stack(
                Linear.read(weights, f"{name}.query").outputs(q_rows),
                Linear.read(weights, f"{name}.key").outputs(kv_rows),
                Linear.read(weights, f"{name}.value").outputs(kv_rows),
            ),
            output=Linear.read(weights, f"{name}.output").inputs(q_rows),
            num_heads=len(heads),
            num_kv_heads=len(kv_heads),
            head_dim=head_dim,
        )

    def write(self, graph: GraphWriter, x: str, *, tokens: int, active_queries: int) -> str:
        """Attend over windows of ``tokens`` tokens.

        Args:
            graph: Where the nodes go.
            x: Tokens, ``[batch * tokens, embed_dim]``.
            tokens: Tokens of one window.
            active_queries: Queries that attend; fewer than ``tokens`` for the sparse form.

        Returns:
            ``[batch * tokens, embed_dim]``.
        """
        width, kv_width = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        projected = graph.reshape(
            graph.linear(x, self.projection), -1, tokens, width + 2 * kv_width
        )
        q, k, v = graph.nodes(
            "Split", projected, graph.integers(width, kv_width, kv_width), outputs=3, axis=-1
        )
        if active_queries < tokens:
            heads = self._write_sparse(graph, q, k, v, tokens=tokens, active=active_queries)
        else:
            heads = graph.node(
                "Attention", q, k, v, q_num_heads=self.num_heads, kv_num_heads=self.num_kv_heads
            )
        return graph.linear(graph.reshape(heads, -1, width), self.output)

    def _write_sparse(
        self, graph: GraphWriter, q: str, k: str, v: str, *, tokens: int, active: int
    ) -> str:
        """The ``active`` sharpest queries of each head attend, the others get the mean value."""
        q = self._split_heads(graph, q, self.num_heads, tokens)  # [batch, heads, time, head_dim]
        k = self._split_heads(graph, k, self.num_kv_heads, tokens)
        v = self._split_heads(graph, v, self.num_kv_heads, tokens)
        top = self._sharpest(graph, q, k, tokens=tokens, active=active)  # [batch, heads, u, 1]
        selected = graph.node("Attention", graph.node("GatherND", q, top, batch_dims=2), k, v)
        mean = graph.node("ReduceMean", v, graph.integers(2))  # [batch, kv heads, 1, head_dim]
        group = self.num_heads // self.num_kv_heads
        spread = graph.node("Mul", mean, graph.constant(np.ones((group * tokens, 1))))
        everywhere = graph.reshape(spread, -1, self.num_heads, tokens, self.head_dim)
        place = graph.node("Add", top, graph.integers(*[0] * self.head_dim))
        heads = graph.node("ScatterElements", everywhere, place, selected, axis=2)
        joined = graph.node("Transpose", heads, perm=(0, 2, 1, 3))
        return graph.reshape(joined, -1, tokens, self.num_heads * self.head_dim)

    def _sharpest(self, graph: GraphWriter, q: str, k: str, *, tokens: int, active: int) -> str:
        """Indices of the queries with the largest max-minus-mean score over sampled keys."""
        # floor(i * time / u), as in learn.nn.sentry_attend.key_sample
        sample = graph.integers(*(np.arange(active) * tokens // active).tolist())
        keys = graph.node("Transpose", graph.node("Gather", k, sample, axis=2), perm=(0, 1, 3, 2))
        group = self.num_heads // self.num_kv_heads
        grouped = graph.reshape(q, -1, self.num_kv_heads, group * tokens, self.head_dim)
        probe = graph.node("MatMul", grouped, keys)  # [batch, kv heads, group * time, u]
        last = graph.integers(-1)
        sharpness = graph.node(
            "Sub", graph.node("ReduceMax", probe, last), graph.node("ReduceMean", probe, last)
        )
        sharpness = graph.reshape(sharpness, -1, self.num_heads, tokens)
        top = graph.nodes("TopK", sharpness, graph.integers(active), outputs=2)[1]
        return graph.reshape(top, -1, self.num_heads, active, 1)

    def _split_heads(self, graph: GraphWriter, x: str, heads: int, tokens: int) -> str:
        split = graph.reshape(x, -1, tokens, heads, self.head_dim)
        return graph.node("Transpose", split, perm=(0, 2, 1, 3))


def _rows(heads: Index, head_dim: int) -> Index:
    rows: Index = (heads[:, None] * head_dim + np.arange(head_dim)).ravel()
    return rows
