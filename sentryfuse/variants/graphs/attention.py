"""Grouped-query attention as graph nodes, dense or sparse head by head; twin of ``learn.nn``'s."""

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

    Query heads that share a key/value head attend as one head with ``group`` queries for each
    token: a few long products in place of many short ones. It costs nothing to arrange, since
    the order of the projected features is free. Pruning leaves uneven groups; then a key/value
    head is handed to the engine once for every ``group`` (their sizes' gcd) of its query heads.
    """

    projection: Linear
    """One token's queries ``[group, lanes, head_dim]``, then the keys and values that stay."""
    output: Linear
    group: int
    """Query heads on each lane."""
    lanes: tuple[int, ...]
    """Key/value head that each head of the engine reads."""
    head_dim: int

    @classmethod
    def read(
        cls, weights: Weights, name: str, keep: BoolArray, *, head_dim: int, group: int
    ) -> Attention:
        """Slice the layer ``name``; head h reads key/value head ``h // group``."""
        heads = keep.nonzero()[0]
        kv_heads, kv_of_head, sizes = np.unique(
            heads // group, return_inverse=True, return_counts=True
        )
        even_group = math.gcd(*sizes.tolist())
        q_rows = _rows(heads.reshape(-1, even_group).T.ravel(), head_dim)
        kv_rows = _rows(kv_heads, head_dim)
        return cls(
            projection=Linear.stack(
                Linear.read(weights, f"{name}.query").outputs(q_rows),
                Linear.read(weights, f"{name}.key").outputs(kv_rows),
                Linear.read(weights, f"{name}.value").outputs(kv_rows),
            ),
            output=Linear.read(weights, f"{name}.output").inputs(q_rows),
            group=even_group,
            lanes=tuple(kv_of_head[::even_group].tolist()),
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
        projected = graph.linear(x, self.projection)
        q, k, v = self._split(
            graph, graph.reshape(projected, -1, tokens, self.projection.num_outputs)
        )
        lanes = len(self.lanes)
        if self.group > 1:
            q = graph.reshape(q, -1, tokens * self.group, lanes * self.head_dim)
        if active_queries < tokens:
            heads = self._write_sparse(graph, q, k, v, tokens=tokens, active=active_queries)
        else:
            heads = graph.node("Attention", q, k, v, q_num_heads=lanes, kv_num_heads=lanes)
        width = self.group * lanes * self.head_dim
        return graph.linear(graph.reshape(heads, -1, width), self.output)

    def _split(self, graph: GraphWriter, projected: str) -> tuple[str, str, str]:
        """Take queries, keys and values apart, ``[batch, time, ...]`` each."""
        width, kept = self.group * len(self.lanes) * self.head_dim, max(self.lanes) + 1
        if kept == len(self.lanes):
            sizes = [width, *[kept * self.head_dim] * 2]
            q, k, v = graph.nodes("Split", projected, graph.integers(*sizes), outputs=3, axis=-1)
            return q, k, v
        sizes = [width, *[self.head_dim] * 2 * kept]
        q, *parts = graph.nodes(
            "Split", projected, graph.integers(*sizes), outputs=len(sizes), axis=-1
        )
        keys, values = parts[:kept], parts[kept:]
        k = graph.node("Concat", *(keys[i] for i in self.lanes), axis=-1)
        v = graph.node("Concat", *(values[i] for i in self.lanes), axis=-1)
        return q, k, v

    def _write_sparse(
        self, graph: GraphWriter, q: str, k: str, v: str, *, tokens: int, active: int
    ) -> str:
        """The ``active`` sharpest queries of each head attend, the others get the mean value."""
        queries = tokens * self.group
        q = self._lanes_first(graph, q, queries)  # [batch, lanes, queries, head_dim]
        k = self._lanes_first(graph, k, tokens)  # [batch, lanes, time, head_dim]
        v = self._lanes_first(graph, v, tokens)
        top = self._sharpest(graph, q, k, tokens=tokens, active=active)  # [batch, lanes, u, 1]
        selected = graph.node("Attention", graph.node("GatherND", q, top, batch_dims=2), k, v)
        mean = graph.node("ReduceMean", v, graph.integers(2))  # [batch, lanes, 1, head_dim]
        everywhere = graph.node("Mul", mean, graph.constant(np.ones((queries, 1))))
        place = graph.node("Add", top, graph.integers(*[0] * self.head_dim))
        heads = graph.node("ScatterElements", everywhere, place, selected, axis=2)
        return graph.node("Transpose", heads, perm=(0, 2, 1, 3))

    def _sharpest(self, graph: GraphWriter, q: str, k: str, *, tokens: int, active: int) -> str:
        """Which queries have the largest max-minus-mean score over sampled keys, head by head."""
        # floor(i * time / u), as in learn.nn.sentry_attend.key_sample
        sample = graph.integers(*(np.arange(active) * tokens // active).tolist())
        keys = graph.node("Transpose", graph.node("Gather", k, sample, axis=2), perm=(0, 1, 3, 2))
        probe = graph.node("MatMul", q, keys)  # [batch, lanes, queries, u]
        last, lanes = graph.integers(-1), len(self.lanes)
        sharpness = graph.node(
            "Sub", graph.node("ReduceMax", probe, last), graph.node("ReduceMean", probe, last)
        )
        by_head = graph.reshape(sharpness, -1, lanes, tokens, self.group)
        token = graph.nodes("TopK", by_head, graph.integers(active), outputs=2, axis=2)[1]
        first = graph.node("Mul", token, graph.integers(self.group))
        query = graph.node("Add", first, graph.integers(*range(self.group)))
        return graph.reshape(query, -1, lanes, active * self.group, 1)

    def _lanes_first(self, graph: GraphWriter, x: str, time: int) -> str:
        split = graph.reshape(x, -1, time, len(self.lanes), self.head_dim)
        return graph.node("Transpose", split, perm=(0, 2, 1, 3))


def _rows(heads: Index, head_dim: int) -> Index:
    rows: Index = (heads[:, None] * head_dim + np.arange(head_dim)).ravel()
    return rows
