"""The ``maestro`` backbone as an ONNX graph; torch-free twin of ``learn/backbones/maestro.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sentryfuse.variants.graphs.draft import Draft
from sentryfuse.variants.graphs.encoder import PROJECTIONS
from sentryfuse.variants.graphs.family import BackboneGraphs, fusion_stream
from sentryfuse.variants.graphs.linear import Array
from sentryfuse.variants.graphs.stream import Stream


class MaestroGraphs(BackboneGraphs):
    """Attention over all tokens, a mixture of experts, the mean of all tokens."""

    def fusion_stream(self) -> Stream:
        """Return the stream from the encoders to the head."""
        writers: list[str] = []
        norms: dict[str, Sequence[str]] = {"norm": ["pooled"]}
        for depth in range(self.spec.backbone.fusion_layers):
            layer = f"fusion.{depth}"
            writers += [f"{layer}.attention.output", f"{layer}.feed_forward.project"]
            norms[f"{layer}.attention_norm"] = [f"{layer}.attention.{p}" for p in PROJECTIONS]
            norms[f"{layer}.feed_forward_norm"] = [
                f"{layer}.feed_forward.{p}" for p in ("router", "expand")
            ]
        return fusion_stream(self.spec, writers=writers, norms=norms)

    def fuse(self, draft: Draft, encoded: Sequence[str], offsets: Sequence[Array]) -> str:
        """Attend over all tokens of all modalities and classify."""
        offset = np.concatenate(offsets)
        x = draft.graph.reshape(draft.join(encoded, offset), -1, draft.shape.embed_dim)
        for depth in range(draft.shape.fusion_layers):
            layer = f"fusion.{depth}"
            x = draft.routed_layer(x, layer=layer, router="router", tokens=len(offset))
        features = draft.means(draft.norm(x), [len(offset)])
        return draft.classify(features, draft.linear("pooled"))
