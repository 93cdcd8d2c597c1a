"""From raw windows to tokens where normalisation cannot be folded into the weights.

That is so where values may be missing, or where what is projected is not linear in the window.
Twin of ``learn.nn.patches``, as is ``embedding``, which is faster and knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sentryfuse.spec import BackboneSpec, ModalitySpec, Normalisation
from sentryfuse.variants.graphs.linear import Array, Linear, Weights
from sentryfuse.variants.graphs.statistics import WindowStatistics, write_step_features
from sentryfuse.variants.graphs.writer import GraphWriter

# Added to a measured variance, as in ``learn.nn.running_norm``.
_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class StandardisingEmbedding:
    """Patches, summary token and positions of one modality."""

    modality: ModalitySpec
    shape: BackboneSpec
    normalisation: Normalisation
    step_norm: Linear | None
    """What brings features of steps to one scale, as a diagonal; None if samples are read."""
    sample_norm: tuple[Array, Array] | None
    """Mean and scale of each sample, ``[length, channels]``; None if they are not told apart."""
    patch_weight: Array
    """``[patch inputs, embed_dim]``"""
    summary_norm: Linear | None
    """What brings statistics to one scale, as a diagonal in the order of ``summary_weight``; None
    if that is not to be done or was folded into the weight."""
    summary_weight: Array | None
    """``[columns * statistics, embed_dim]``; None if the model has no summary tokens."""
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
    ) -> StandardisingEmbedding:
        """Take the embedding ``name``, and fold its biases and what scales its statistics."""
        position = weights[f"{name}.position"].astype(np.float64)
        project = Linear.read(weights, f"{name}.project")
        position[: shape.num_patches(modality)] += project.bias
        _, columns = shape.sequence(modality)
        summary_norm = summary_weight = None
        if shape.summary_token:
            summary = Linear.read(weights, f"{name}.summary")
            if shape.standardise_summary:
                norm = _running_norm(weights, f"{name}.summary_norm")
                if shape.feature_limit:
                    summary_norm = _by_column(norm, columns)
                else:
                    bias = summary.bias + summary.weight @ norm.bias
                    summary = Linear(summary.weight * norm.weight, bias)
            position[-1] += summary.bias
            by_column = summary.weight.reshape(shape.embed_dim, -1, columns).transpose(2, 1, 0)
            summary_weight = by_column.reshape(-1, shape.embed_dim)
        steps = shape.step_length(modality) > 1
        return cls(
            modality=modality,
            shape=shape,
            normalisation=normalisation,
            step_norm=_running_norm(weights, f"{name}.step_norm") if steps else None,
            sample_norm=_sample_norm(weights, name) if shape.sample_norm else None,
            patch_weight=project.weight.T,
            summary_norm=summary_norm,
            summary_weight=summary_weight,
            position=position,
        )

    def write(self, graph: GraphWriter, window: str) -> str:
        """Turn a raw window ``[batch, length, channels]`` into tokens ``[batch, tokens, d]``."""
        window, known = self._standardise(graph, window)
        turned = graph.node("Transpose", window, perm=(0, 2, 1))
        if self.step_norm is not None:
            turned = self._steps(graph, turned, self.step_norm)
            window = graph.node("Transpose", turned, perm=(0, 2, 1))
        if self.sample_norm is not None:
            mean, scale = map(graph.constant, self.sample_norm)
            window = graph.node("Mul", graph.node("Sub", window, mean), scale)
        patches = self._patches(graph, window)
        if known is not None:
            patches = graph.node("Concat", patches, self._patches(graph, known), axis=2)
        tokens = graph.node("MatMul", patches, graph.constant(self.patch_weight))
        if self.summary_weight is not None:
            if known is not None:
                known = graph.node("Transpose", known, perm=(0, 2, 1))
            length, _ = self.shape.sequence(self.modality)
            statistics = WindowStatistics(graph, turned, known, length=length)
            values = statistics.write(self.shape.statistics(self.modality))
            row = graph.reshape(values, -1, 1, len(self.summary_weight))
            if self.summary_norm is not None:
                row = self._scaled(graph, row, self.summary_norm.weight, self.summary_norm.bias)
            summary = graph.node("MatMul", row, graph.constant(self.summary_weight))
            tokens = graph.node("Concat", tokens, summary, axis=1)
        return graph.node("Add", tokens, graph.constant(self.position))

    def _standardise(self, graph: GraphWriter, window: str) -> tuple[str, str | None]:
        """Return the standardised window, and what of it was measured (1 or 0) if that varies."""
        mean, std = np.asarray(self.normalisation.mean), np.asarray(self.normalisation.std)
        centred = graph.node("Sub", window, graph.constant(mean))
        values = graph.node("Mul", centred, graph.constant(1 / std))
        if not self.modality.gaps:
            return values, None
        missing = graph.node("IsNaN", window)
        zero, one = graph.constant(np.zeros(1)), graph.constant(np.ones(1))
        return graph.node("Where", missing, zero, values), graph.node("Where", missing, zero, one)

    def _steps(self, graph: GraphWriter, window: str, norm: Linear) -> str:
        """Turn ``[batch, channels, length]`` into steps ``[batch, columns, rows]``."""
        features = write_step_features(
            graph,
            window,
            length=self.modality.length,
            channels=self.modality.channels,
            step_length=self.shape.step_length(self.modality),
        )
        return self._scaled(graph, features, norm.weight[:, None], norm.bias[:, None])

    def _scaled(self, graph: GraphWriter, features: str, weight: Array, bias: Array) -> str:
        """Bring features to one scale, and none too far from its mean."""
        product = graph.node("Mul", features, graph.constant(weight))
        scaled = graph.node("Add", product, graph.constant(bias))
        limit = self.shape.feature_limit
        if not limit:
            return scaled
        low, high = (graph.constant(np.full(1, end)) for end in (-limit, limit))
        return graph.node("Min", graph.node("Max", scaled, low), high)

    def _patches(self, graph: GraphWriter, x: str) -> str:
        """Turn ``[batch, rows, columns]`` into ``[batch, patches, patch_length * columns]``."""
        length, columns = self.shape.sequence(self.modality)
        patches, rows = (
            self.shape.num_patches(self.modality),
            self.shape.patch_length(self.modality),
        )
        padding = patches * rows - length
        if padding:
            x = graph.node("Pad", x, graph.integers(0, 0, 0, 0, padding, 0))
        return graph.reshape(x, -1, patches, rows * columns)


def _running_norm(weights: Weights, name: str) -> Linear:
    """Read the affine map of a norm; its weight is a diagonal ``[width]``."""
    scale = (weights[f"{name}.variance"].astype(np.float64) + _EPSILON) ** -0.5
    return Linear(scale, -weights[f"{name}.mean"] * scale)


def _by_column(norm: Linear, columns: int) -> Linear:
    """Reorder a diagonal from statistic by statistic to column by column."""
    return Linear(*(x.reshape(-1, columns).T.ravel() for x in (norm.weight, norm.bias)))


def _sample_norm(weights: Weights, embedding: str) -> tuple[Array, Array]:
    name = f"{embedding}.sample_norm"
    return weights[f"{name}.mean"], weights[f"{name}.scale"]
