"""The ``flexmoe`` backbone as an ONNX graph; torch-free twin of ``learn/backbones/flexmoe.py``.

The bank's tokens are the same for every window of a presence: they are constants here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentryfuse.presence import Presence
from sentryfuse.variants.graphs.draft import Draft
from sentryfuse.variants.graphs.encoder import PROJECTIONS
from sentryfuse.variants.graphs.family import (
    BackboneGraphs,
    fusion_stream,
    join_head,
    split_head,
)
from sentryfuse.variants.graphs.linear import Array, Weights
from sentryfuse.variants.graphs.stream import Stream

_ROUTERS = ("generalised", "specialised")


class FlexMoEGraphs(BackboneGraphs):
    """Tokens of the bank after those of the sensors, one of two routers, a mean by modality."""

    def prepare(self, weights: Weights) -> Weights:
        """Take the head apart by modality."""
        return split_head(weights, self.spec.modality_names)

    def fusion_stream(self) -> Stream:
        """Return the stream from encoders and bank to the head."""
        writers: list[str] = []
        norms: dict[str, Sequence[str]] = {
            "norm": [f"pooled.{m}" for m in self.spec.modality_names]
        }
        for depth in range(self.spec.backbone.fusion_layers):
            layer = f"fusion.{depth}"
            writers += [f"{layer}.attention.output", f"{layer}.feed_forward.project"]
            norms[f"{layer}.attention_norm"] = [f"{layer}.attention.{p}" for p in PROJECTIONS]
            norms[f"{layer}.feed_forward_norm"] = [
                f"{layer}.feed_forward.expand",
                *(f"{layer}.feed_forward.routers.{r}" for r in _ROUTERS),
            ]
        return fusion_stream(self.spec, writers=writers, norms=norms, positions=["bank.missing"])

    def fuse(self, draft: Draft, encoded: Sequence[str], offsets: Sequence[Array]) -> str:
        """Attend over all tokens and those of the bank, and classify."""
        graph, presence = draft.graph, draft.presence
        absent = [i for i in range(presence.size) if i not in presence]
        bank = self._bank(presence, absent)  # [absent, bank tokens, embed_dim]
        joined = encoded
        if absent:
            rows = bank.shape[0] * bank.shape[1]
            last = graph.node("Pad", encoded[-1], graph.integers(0, 0, 0, 0, rows, 0))
            joined = [*encoded[:-1], last]
        stretches = [*offsets, *bank]
        x = draft.join(joined, np.concatenate(stretches))
        x = graph.reshape(x, -1, draft.shape.embed_dim)
        lengths = [len(stretch) for stretch in stretches]
        router = f"routers.{_ROUTERS[bool(absent)]}"
        for depth in range(draft.shape.fusion_layers):
            x = draft.routed_layer(x, layer=f"fusion.{depth}", router=router, tokens=sum(lengths))
        names = self.spec.modality_names
        head = join_head(self.weights, [names[i] for i in (*presence, *absent)])
        return draft.classify(draft.means(draft.norm(x), lengths), head)

    def _bank(self, presence: Presence, absent: Sequence[int]) -> Array:
        observed = self.weights["bank.observed"][list(presence)].mean(axis=0)  # [rank]
        bank: Array = np.einsum("r,mrtd->mtd", observed, self.weights["bank.missing"][list(absent)])
        return bank
