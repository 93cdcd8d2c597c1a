"""Values that describe a model: rows of tokens, prunable layers, and parts that always stay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sentryfuse.presence import Presence

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How many tokens of one sample something works on, as a function of the presence."""

    present: tuple[int, ...] = ()
    """Tokens that each modality brings when it is present."""
    absent: tuple[int, ...] = ()
    """Tokens that stand in for each modality when it is absent."""
    always: int = 0
    only: Literal["complete", "incomplete"] | None = None
    """Whether it works only if all modalities are present, or only if one is absent."""

    @classmethod
    def of_modality(cls, index: int, tokens: int) -> Rows:
        """Tokens of one modality."""
        return cls(present=(0,) * index + (tokens,))

    def count(self, presence: Presence) -> int:
        """Tokens for this presence; 0 where it is not computed at all."""
        if self.only is not None and (self.only == "complete") != (not presence.num_missing):
            return 0
        here = sum(n for i, n in enumerate(self.present) if i in presence)
        return self.always + here + sum(n for i, n in enumerate(self.absent) if i not in presence)


ONCE = Rows(always=1)
NEVER = Rows()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitLayer:
    """The units of one attention or feed-forward layer.

    ``modality`` is the index of the modality to which the layer belongs; None for layers that
    work on the tokens of several.
    """

    name: str
    weights: str
    """Beginning of the names of its arrays."""
    kind: Literal["head", "channel"]
    count: int
    group: int
    """Heads that share one key/value head, or channels of one expert."""
    rows: Rows
    modality: int | None = None
    offset: int = 0

    @property
    def units(self) -> slice:
        """Where the layer's units stand in a vector over all units."""
        return slice(self.offset, self.offset + self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An array that pruning leaves whole. Where it has no rows to work on, it is not there."""

    name: str
    shape: tuple[int, ...]
    rows: Rows
    macs: int = 0
    """Multiply-accumulates for each row."""
    kept_per_row: int | None = None
    """Parameters of a sliced model for each row; None if it keeps all of the array."""

    def parameters(self, presence: Presence) -> int:
        """Parameters that the sliced model has of this."""
        rows = self.rows.count(presence)
        if self.kept_per_row is not None:
            return rows * self.kept_per_row
        return prod(self.shape) if rows else 0


def linear(name: str, inputs: int, outputs: int, rows: Rows) -> tuple[Part, Part]:
    """Weight and bias of an affine map over rows."""
    weight = Part(name=f"{name}.weight", shape=(outputs, inputs), rows=rows, macs=inputs * outputs)
    return weight, bias(name, outputs, rows)


def bias(name: str, outputs: int, rows: Rows) -> Part:
    """Bias of an affine map over rows."""
    return Part(name=f"{name}.bias", shape=(outputs,), rows=rows)


def norm(name: str, width: int, rows: Rows) -> tuple[Part, Part]:
    """Scale and shift of a layer norm."""
    return Part(name=f"{name}.weight", shape=(width,), rows=rows), bias(name, width, rows)


def running_norm(name: str, width: int, rows: Rows) -> tuple[Part, Part]:
    """Mean and variance of features, measured while training: no parameters."""
    mean, variance = (
        Part(name=f"{name}.{moment}", shape=(width,), rows=rows, kept_per_row=0)
        for moment in ("mean", "variance")
    )
    return mean, variance


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole model: layers of units, in the order of the unit vector, and everything else."""

    layers: tuple[UnitLayer, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a (pruned) model costs for one sample."""

    flops: int
    parameters: int


def offsets(counts: Iterable[int]) -> list[int]:
    """Where each layer's units begin, for layers of these sizes side by side."""
    return [0, *accumulate(counts)][:-1]
