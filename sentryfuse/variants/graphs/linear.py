"""Affine maps as values: slicing and folding weights before they become a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Weights = Mapping[str, Array]
Index = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Linear:
    """``x -> x weight^T + bias``, weight ``[outputs, inputs]`` as torch stores it."""

    weight: Array
    bias: Array

    @classmethod
    def read(cls, weights: Weights, name: str) -> Self:
        """Take ``name.weight`` and ``name.bias``."""
        return cls(weights[f"{name}.weight"], weights[f"{name}.bias"])

    @classmethod
    def stack(cls, *maps: Linear) -> Self:
        """Return one map that computes several of the same input, side by side."""
        weight = np.concatenate([m.weight for m in maps])
        return cls(weight, np.concatenate([m.bias for m in maps]))

    @property
    def num_outputs(self) -> int:
        """Width of the output."""
        return len(self.bias)

    def outputs(self, index: Index) -> Linear:
        """Return the map to only these outputs."""
        return Linear(self.weight[index], self.bias[index])

    def inputs(self, index: Index) -> Linear:
        """Return the map that reads only these inputs; the others count as zero."""
        return Linear(self.weight[:, index], self.bias)
