"""The ``fusemoe`` backbone as an ONNX graph; torch-free twin of ``learn/backbones/fusemoe.py``.

What stands in for an absent modality reaches the head alone: it is part of a bias here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentryfuse.units.fusemoe import ExpertPool, expert_pools
from sentryfuse.variants.graphs.draft import Draft
from sentryfuse.variants.graphs.family import (
    BackboneGraphs,
    fusion_stream,
    join_head,
    split_head,
)
from sentryfuse.variants.graphs.linear import Array, Linear, Weights
from sentryfuse.variants.graphs.stream import Stream

# As in ``learn.nn.laplace``.
_LEAST_SQUARE = 1e-6


class FuseMoEGraphs(BackboneGraphs):
    """Experts behind Laplace gates, the mean of what they say to every token."""

    def prepare(self, weights: Weights) -> Weights:
        """Multiply out the gates' squares, and take the head apart by modality."""
        prepared = split_head(weights, self.spec.modality_names)
        for pool in self._pools():
            for router in pool.routers:
                name = f"{pool.weights}.routers.{router}"
                prototypes = weights[f"{name}.prototypes"]
                prepared[f"{name}.weight"] = -2 * prototypes
                prepared[f"{name}.bias"] = (prototypes.astype(np.float64) ** 2).sum(axis=1)
        for name, indicator in zip(self.spec.modality_names, weights["indicators"], strict=True):
            prepared[f"pooled.{name}.absent"] = prepared[f"pooled.{name}.weight"] @ indicator
        return prepared

    def fusion_stream(self) -> Stream:
        """Return the stream from the encoders to the head."""
        norms: dict[str, Sequence[str]] = {
            "norm": [f"pooled.{m}" for m in self.spec.modality_names]
        }
        for pool in self._pools():
            norms[f"{pool.weights}_norm"] = [
                f"{pool.weights}.expand",
                *(f"{pool.weights}.routers.{r}" for r in pool.routers),
            ]
        writers = [f"{pool.weights}.project" for pool in self._pools()]
        return fusion_stream(self.spec, writers=writers, norms=norms)

    def fuse(self, draft: Draft, encoded: Sequence[str], offsets: Sequence[Array]) -> str:
        """Let the experts speak, and classify from a mean for each modality."""
        lengths = {name: len(o) for name, o in zip(draft.present, offsets, strict=True)}
        x = draft.join(encoded, np.concatenate(offsets))  # [batch, tokens, embed_dim]
        for depth in range(draft.shape.fusion_layers):
            x = self._speak(draft, x, depth, lengths)
        features = draft.means(draft.norm(x), list(lengths.values()))
        return draft.classify(features, self._head(draft))

    def _speak(self, draft: Draft, x: str, depth: int, lengths: dict[str, int]) -> str:
        """Add what the experts say to each token, and its mean, to ``[batch, tokens, d]``."""
        graph, tokens = draft.graph, sum(lengths.values())
        pools = [
            (pool, {n: lengths[n] for n in pool.modalities if n in lengths})
            for pool in expert_pools(self.spec, depth)
        ]
        pools = [(pool, members) for pool, members in pools if members]
        normed = _split(draft, draft.norm(x), [sum(members.values()) for _, members in pools])
        outputs = [
            self._run(draft, pool, tokens_of_pool, members)
            for (pool, members), tokens_of_pool in zip(pools, normed, strict=True)
        ]
        y = graph.node("Concat", *outputs, axis=1) if len(outputs) > 1 else outputs[0]
        mean = graph.node("MatMul", graph.constant(np.full((1, tokens), 1 / tokens)), y)
        return graph.node("Add", graph.node("Add", x, y), mean)

    def _run(self, draft: Draft, pool: ExpertPool, x: str, members: dict[str, int]) -> str:
        """Run one pool over normalised tokens ``[batch, tokens, embed_dim]``."""
        graph, d = draft.graph, draft.shape.embed_dim
        logits = graph.reshape(self._route(draft, pool, x, members), -1, pool.num_experts)
        experts = draft.experts(pool.weights, pool.layer)
        hidden = experts.write_hidden(graph, graph.reshape(x, -1, d), logits)
        rows = graph.linear(hidden, experts.channels.project)
        return graph.reshape(rows, -1, sum(members.values()), d)

    def _route(self, draft: Draft, pool: ExpertPool, x: str, members: dict[str, int]) -> str:
        """Minus the distance of each token from each expert's prototype."""
        graph = draft.graph
        served: dict[str, int] = {}
        for name, tokens in members.items():
            router = pool.router_of(name)
            served[router] = served.get(router, 0) + tokens
        maps = [draft.linear(f"{pool.weights}.routers.{router}") for router in served]
        parts = [
            graph.node("MatMul", part, graph.constant(map_.weight.T))
            for part, map_ in zip(_split(draft, x, list(served.values())), maps, strict=True)
        ]
        products = graph.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        biases = np.repeat([map_.bias for map_ in maps], list(served.values()), axis=0)
        squares = graph.node("Add", products, graph.constant(biases))
        lengths = graph.node("ReduceSumSquare", x, graph.integers(2))
        squares = graph.node("Add", squares, lengths)
        squares = graph.node("Max", squares, graph.constant(np.array(_LEAST_SQUARE)))
        return graph.node("Neg", graph.node("Sqrt", squares))

    def _head(self, draft: Draft) -> Linear:
        head = join_head(self.weights, draft.present)
        absent = set(self.spec.modality_names) - set(draft.present)
        folded = sum(self.weights[f"pooled.{name}.absent"] for name in sorted(absent))
        return Linear(head.weight, head.bias + folded)

    def _pools(self) -> list[ExpertPool]:
        layers = range(self.spec.backbone.fusion_layers)
        return [pool for depth in layers for pool in expert_pools(self.spec, depth)]


def _split(draft: Draft, x: str, lengths: Sequence[int]) -> list[str]:
    """Cut ``[batch, tokens, ...]`` into stretches of tokens."""
    if len(lengths) == 1:
        return [x]
    sizes = draft.graph.integers(*lengths)
    return draft.graph.nodes("Split", x, sizes, outputs=len(lengths), axis=1)
