"""From raw windows to tokens as graph nodes; twin of ``learn.nn.patches``.

Standardisation is part of the weights: nothing is computed for it at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from sentryfuse.spec import BackboneSpec, ModalitySpec, Normalisation
from sentryfuse.variants.graphs.linear import Array, Linear, Weights
from sentryfuse.variants.graphs.writer import GraphWriter

# Added to the variance of a standardised channel, as in ``learn.nn.statistics``.
_VARIANCE_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Embedding:
    """Patches, summary token and positions of one modality."""

    modality: ModalitySpec
    patch_length: int
    patch_weight: Array
    """``[patch_length * channels, embed_dim]``, or one such map for each patch."""
    summary_weight: Array | None
    """``[channels, statistics, embed_dim]``; None if the model has no summary tokens."""
    variance_floor: Array
    """Added to the variance of each raw channel."""
    position: Array
    """``[tokens, embed_dim]``, all biases included."""

    @classmethod
    def read(
        cls,
        weights: Weights,
        name: str,
        modality: ModalitySpec,
        normalisation: Normalisation,
        shape: BackboneSpec,
    ) -> Embedding:
        """Fold ``normalisation`` and biases into the embedding ``name``."""
        patches, patch_length = shape.num_patches(modality), shape.patch_length(modality)
        mean, std = np.asarray(normalisation.mean), np.asarray(normalisation.std)
        position = weights[f"{name}.position"].astype(np.float64)

        project = Linear.read(weights, f"{name}.project")
        # Padding stands for samples that are zero after standardisation, so it has no mean.
        means = np.zeros((patches * patch_length, modality.channels))
        means[: modality.length] = mean
        if shape.sample_norm:
            scale = np.zeros_like(means)
            scale[: modality.length] = weights[f"{name}.sample_norm.scale"] / std
            means[: modality.length] += std * weights[f"{name}.sample_norm.mean"]
            patch_weight = project.weight.T * scale.reshape(patches, -1, 1)
            offset = np.einsum("pk,pkd->pd", means.reshape(patches, -1), patch_weight)
        else:
            patch_weight = (project.weight / np.tile(std, patch_length)).T
            offset = means.reshape(patches, -1) @ patch_weight
        position[:patches] += project.bias - offset

        summary_weight = None
        if shape.summary_token:
            summary = Linear.read(weights, f"{name}.summary")
            by_statistic = summary.weight.reshape(shape.embed_dim, -1, modality.channels) / std
            moved = by_statistic[:, _MOVES_WITH_THE_MEAN].sum(axis=1)
            position[-1] += summary.bias - moved @ mean
            summary_weight = by_statistic.transpose(2, 1, 0)
        floor = _VARIANCE_FLOOR * std**2
        return cls(modality, patch_length, patch_weight, summary_weight, floor, position)

    def write(self, graph: GraphWriter, window: str, summary: str | None) -> str:
        """Turn a raw window into tokens ``[batch, tokens, embed_dim]``.

        Args:
            graph: Where the nodes go.
            window: ``[batch, length, channels]``.
            summary: The summary token, ``[batch, 1, embed_dim]``.
        """
        patches = len(self.position) - (summary is not None)
        padding = patches * self.patch_length - self.modality.length
        if padding:
            window = graph.node("Pad", window, graph.integers(0, 0, 0, 0, padding, 0))
        patch_dim, d = self.patch_weight.shape[-2:]
        if self.patch_weight.ndim == 3:
            window = graph.reshape(window, -1, patches, 1, patch_dim)
            products = graph.node("MatMul", window, graph.constant(self.patch_weight))
            tokens = graph.reshape(products, -1, patches, d)
        else:
            window = graph.reshape(window, -1, patches, patch_dim)
            tokens = graph.node("MatMul", window, graph.constant(self.patch_weight))
        if summary is not None:
            tokens = graph.node("Concat", tokens, summary, axis=1)
        return graph.node("Add", tokens, graph.constant(self.position))


# Mean, minimum and maximum of (x - mean) / std shift with the mean; the deviation does not.
_MOVES_WITH_THE_MEAN = [0, 2, 3]


def write_summaries(
    graph: GraphWriter, windows: Sequence[str], embeddings: Sequence[Embedding]
) -> list[str]:
    """Project each window's mean, deviation, minimum and maximum.

    Windows of equal length are reduced together, whatever their channels: a reduction costs
    its start far more than its numbers.

    Returns:
        A token ``[batch, 1, embed_dim]`` for each window, without bias.
    """
    tokens: dict[str, str] = {}
    pairs = sorted(zip(windows, embeddings, strict=True), key=lambda p: p[1].modality.length)
    for _, group in groupby(pairs, key=lambda p: p[1].modality.length):
        names, members = zip(*group, strict=True)
        statistics = _statistics(graph, names, members)
        for name, member, values in zip(names, members, statistics, strict=True):
            assert member.summary_weight is not None
            weight = member.summary_weight.reshape(-1, member.position.shape[1])
            row = graph.reshape(values, -1, 1, len(weight))
            tokens[name] = graph.node("MatMul", row, graph.constant(weight))
    return [tokens[name] for name in windows]


def _statistics(
    graph: GraphWriter, windows: Sequence[str], members: Sequence[Embedding]
) -> list[str]:
    """Reduce windows of one length over time; each result is ``[batch, channels, 4]``."""
    joined = graph.node("Concat", *windows, axis=2) if len(windows) > 1 else windows[0]
    x = graph.node("Transpose", joined, perm=(0, 2, 1))  # [batch, channels, time]
    time = graph.integers(2)
    mean = graph.node("ReduceMean", x, time)
    centred = graph.node("Sub", x, mean)
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), time)
    floor = np.concatenate([m.variance_floor for m in members])[:, None]
    deviation = graph.node("Sqrt", graph.node("Add", variance, graph.constant(floor)))
    extremes = [graph.node(op, x, time) for op in ("ReduceMin", "ReduceMax")]
    statistics = graph.node("Concat", mean, deviation, *extremes, axis=2)
    if len(members) == 1:
        return [statistics]
    channels = graph.integers(*(m.modality.channels for m in members))
    return graph.nodes("Split", statistics, channels, outputs=len(members), axis=1)
