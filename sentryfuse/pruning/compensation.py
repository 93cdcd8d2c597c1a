"""Refit what follows the removed units, in closed form, from unlabelled activations.

A block ends in an output projection that reads its units: ``y = x W^T + b``. When units go, W and
b can be changed so that the rest says what the whole block said. The arrays come from whoever
ran the model; nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.units import BoolArray, FloatArray

_Float = TypeVar("_Float", bound=np.floating)


@dataclass(frozen=True, eq=False)
class Projection:
    """Output projection of a block, as wide as before pruning.

    Only the columns of units that stay mean anything: slicing drops the others.

    Args:
        weight: ``[embed_dim, features]``; a head has ``head_dim`` features, a channel one.
        bias: ``[embed_dim]``.
    """

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of inputs x and targets y: all that least squares needs.

    Sums over rows (tokens of all windows), so that batches add up.

    Args:
        count: Rows.
        sum_x: ``[features]``.
        sum_y: ``[outputs]``.
        gram: Sum of x x^T, ``[features, features]``.
        cross: Sum of x y^T, ``[features, outputs]``.
    """

    count: int
    sum_x: FloatArray
    sum_y: FloatArray
    gram: FloatArray
    cross: FloatArray

    @classmethod
    def of(cls, x: NDArray[np.floating], y: NDArray[np.floating]) -> Self:
        """Take the moments of rows ``x [rows, features]`` and ``y [rows, outputs]``.

        Raises:
            ConfigError: The two differ in rows.
        """
        if len(x) != len(y):
            raise ConfigError(f"inputs have {len(x)} rows, targets {len(y)}")
        x, y = x.astype(np.float64), y.astype(np.float64)
        return cls(len(x), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.count + other.count,
            self.sum_x + other.sum_x,
            self.sum_y + other.sum_y,
            self.gram + other.gram,
            self.cross + other.cross,
        )


def refit(moments: Moments, start: Projection, ridge: float = 1e-3) -> Projection:
    """Least squares for weight and bias, drawn towards where they are.

    Minimises ``mean |x W^T + b - y|^2 + lambda |W - W0|^2`` with ``lambda = ridge * mean
    variance of x``. The bias is free, so that what the removed units say on average (all that
    FLAP restores) is restored whatever the ridge.

    Args:
        moments: Of the units that stay, and of what the whole block should say.
        start: W0 and the present bias, over the same features.
        ridge: Strength of the pull, relative; must be positive, since features may repeat.

    Returns:
        The new projection, over the same features.

    Raises:
        ConfigError: ``ridge`` is not positive.
        MaskMismatchError: The moments are of another block.
    """
    if not ridge > 0:
        raise ConfigError(f"ridge must be positive, got {ridge}")
    _check_features(moments, start)
    mean_x, mean_y = moments.sum_x / moments.count, moments.sum_y / moments.count
    covariance = moments.gram / moments.count - np.outer(mean_x, mean_x)
    cross = moments.cross / moments.count - np.outer(mean_x, mean_y)
    pull = ridge * max(float(np.trace(covariance)) / len(covariance), np.finfo(np.float64).tiny)
    lacking = cross - covariance @ start.weight.T
    change = np.linalg.solve(covariance + pull * np.eye(len(covariance)), lacking)
    weight = start.weight + change.T
    return Projection(weight, mean_y - weight @ mean_x)


def fit_scales(
    moments: Moments, projection: Projection, unit_width: int, damp: float = 1e-3
) -> FloatArray:
    """One factor for each unit, so that the sum of scaled units says what the block said.

    Mask tuning of Kwon et al. (2022, section 4.3): with A the units' outputs as columns, solve
    ``A^T A s = A^T (y - b)``. They run LSMR on ``s - 1``, with damping, on these normal
    equations; this is the point that LSMR runs to, by eigenvalues. Their damping is 1, next to
    nothing for their data; ours is relative, and so the same for few small windows and for many.

    Args:
        moments: Of the units that stay, and of what the whole block should say.
        projection: The block's own, over the same features.
        unit_width: Features of one unit.
        damp: Directions with eigenvalues of ``A^T A`` below this part of their mean are left.

    Returns:
        ``[units]``; 1 leaves a unit as it is.
    """
    _check_features(moments, projection)
    weight = projection.weight
    target = moments.cross - np.outer(moments.sum_x, projection.bias)
    normal = _sum_units(_sum_units((weight.T @ weight) * moments.gram, unit_width).T, unit_width)
    right = _sum_units((weight.T * target).sum(axis=1), unit_width) - normal.sum(axis=1)
    values, vectors = np.linalg.eigh(normal)
    floor = max(damp * float(values.mean()), np.finfo(np.float64).tiny ** 0.5)
    shrink = values / (values**2 + floor**2)
    scales: FloatArray = 1.0 + vectors @ (shrink * (vectors.T @ right))
    return scales


def absorb_means(projection: Projection, means: FloatArray, keep: BoolArray) -> Projection:
    """Add to the bias what the removed units say on average (FLAP, An et al. 2024).

    Args:
        projection: The block's own.
        means: Mean of each feature, ``[features]``.
        keep: Features that stay, ``[features]``.
    """
    removed = np.where(keep, 0.0, means)
    return Projection(projection.weight, projection.bias + projection.weight @ removed)


def corrected_weights(
    weights: Mapping[str, NDArray[_Float]], projections: Mapping[str, Projection]
) -> dict[str, NDArray[_Float]]:
    """Return a model's weights with these output projections in place of its own.

    A mask applied to the result gives the compensated variant, in torch and in ONNX alike.

    Args:
        weights: By ``state_dict`` name; not changed.
        projections: By the name of the linear layer: ``fusion.0.attention.output``.

    Raises:
        MaskMismatchError: A projection has no place in the model or another shape.
    """
    out = dict(weights)
    for name, projection in projections.items():
        parts = {f"{name}.weight": projection.weight, f"{name}.bias": projection.bias}
        for key, value in parts.items():
            if key not in weights or weights[key].shape != value.shape:
                seen = weights[key].shape if key in weights else "nothing of that name"
                raise MaskMismatchError(f"{key} must be {seen}, got {value.shape}")
            out[key] = value.astype(weights[key].dtype)
    return out


def _check_features(moments: Moments, projection: Projection) -> None:
    expected = (len(moments.sum_y), len(moments.sum_x))
    if projection.weight.shape != expected:
        raise MaskMismatchError(
            f"moments are of a projection {expected}, got {projection.weight.shape}"
        )


def _sum_units(values: FloatArray, unit_width: int) -> FloatArray:
    """Sum features of one unit along the first axis."""
    summed: FloatArray = values.reshape(-1, unit_width, *values.shape[1:]).sum(axis=1)
    return summed
