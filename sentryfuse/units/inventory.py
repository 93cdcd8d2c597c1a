"""Inventory of the prunable units of a model, layer by layer, with what each costs.

A unit is one query head or one FFN / expert hidden channel. The inventory fixes the order of
units once: gate scores, saliencies and masks are all vectors of length ``num_units`` in it.

FLOPs are 2 x multiply-accumulates of the matrix products that really run, per sample, forward
only. Norms, activations, softmax and additions are not counted, as in the literature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.units.flexmoe import flexmoe_layout
from sentryfuse.units.fusemoe import fusemoe_layout
from sentryfuse.units.layout import BoolArray, Cost, FloatArray, Layout, UnitLayer
from sentryfuse.units.maestro import maestro_layout

LAYOUTS: dict[str, Callable[[ModelSpec], Layout]] = {
    "flexmoe": flexmoe_layout,
    "fusemoe": fusemoe_layout,
    "maestro": maestro_layout,
}


def layout_of(spec: ModelSpec) -> Layout:
    """Return what a model is made of.

    Raises:
        ConfigError: The spec names a backbone that does not exist.
    """
    kind = spec.backbone.kind
    if kind not in LAYOUTS:
        raise ConfigError(f"backbone.kind must be one of {sorted(LAYOUTS)}, got {kind!r}")
    return LAYOUTS[kind](spec)


_MOST_PRESENCES = 64


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is the same for every mask of one presence."""

    active: BoolArray
    unit_flops: FloatArray
    macs: int
    parameters: int
    tokens: tuple[int, ...]
    """That each layer sees."""


class Inventory:
    """Units of a model and their costs; any number of threads may share it.

    Args:
        spec: The unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        layout = layout_of(spec)
        self.layers, self._parts = layout.layers, layout.parts
        self._by_name = {layer.name: layer for layer in self.layers}
        self._facts: dict[Presence, _Facts] = {}
        """Of the presences that were asked for last: each is asked for once for every ratio."""

    @property
    def num_units(self) -> int:
        """Length of every score vector and mask."""
        last = self.layers[-1]
        return last.offset + last.count

    @cached_property
    def is_head(self) -> BoolArray:
        """Which units are heads, ``[num_units]``; the others are channels."""
        return np.concatenate([np.full(x.count, x.kind == "head") for x in self.layers])

    def __getitem__(self, name: str) -> UnitLayer:
        return self._by_name[name]

    def tokens(self, layer: UnitLayer, presence: Presence) -> int:
        """Tokens that the layer sees for one sample; 0 where its modality is absent."""
        return layer.rows.count(presence)

    def kept(self, layer: str, keep: BoolArray) -> list[int]:
        """Which units of a layer a mask ``[num_units]`` keeps, counted from its first."""
        kept: list[int] = keep[self[layer].units].nonzero()[0].tolist()
        return kept

    def active(self, presence: Presence) -> BoolArray:
        """Which units exist for this presence, ``[num_units]``."""
        return self._facts_of(presence).active.copy()

    def unit_flops(self, presence: Presence) -> FloatArray:
        """FLOPs that disappear with each unit alone, ``[num_units]``; 0 for absent modalities.

        A head's key/value projection is shared by its group and is not the head's own cost: it
        is saved on top when the whole group goes (:meth:`cost` counts that).
        """
        return self._facts_of(presence).unit_flops.copy()

    def cost(self, presence: Presence, keep: BoolArray) -> Cost:
        """Total FLOPs and parameters of the sliced model, encoders of absent modalities left out.

        Args:
            presence: Which modalities are computed.
            keep: Units that stay, ``[num_units]``; True takes part.

        Raises:
            MaskMismatchError: ``keep`` is not of length ``num_units``.
        """
        if keep.shape != (self.num_units,):
            raise MaskMismatchError(f"mask must have {self.num_units} units, got {keep.shape}")
        facts = self._facts_of(presence)
        kept = keep & facts.active
        macs, parameters = facts.macs, facts.parameters
        backbone = self.spec.backbone
        d = backbone.embed_dim
        for layer, tokens in zip(self.layers, facts.tokens, strict=True):
            count = int(kept[layer.units].sum())
            if layer.kind == "head":
                groups = int(kept[layer.units].reshape(-1, layer.group).any(axis=1).sum())
                width = count * backbone.head_dim
                kv_width = 2 * groups * backbone.head_dim
                macs += tokens * d * kv_width
                parameters += d * (2 * width + kv_width) + width + kv_width
            else:
                parameters += count * (2 * d + 1)
        unit_flops = facts.unit_flops[kept].sum()
        return Cost(flops=2 * macs + int(unit_flops), parameters=parameters)

    def _facts_of(self, presence: Presence) -> _Facts:
        facts = self._facts.get(presence)
        if facts is None:
            if len(self._facts) >= _MOST_PRESENCES:
                self._facts.clear()
            facts = self._facts[presence] = self._work_out(presence)
        return facts

    def _work_out(self, presence: Presence) -> _Facts:
        tokens = tuple(self.tokens(layer, presence) for layer in self.layers)
        active = np.zeros(self.num_units, dtype=np.bool_)
        flops = np.zeros(self.num_units)
        for layer, seen in zip(self.layers, tokens, strict=True):
            active[layer.units] = seen > 0
            flops[layer.units] = self._flops_of_one(layer, seen)
        return _Facts(
            active,
            flops,
            macs=sum(part.macs * part.rows.count(presence) for part in self._parts),
            parameters=sum(part.parameters(presence) for part in self._parts),
            tokens=tokens,
        )

    def _flops_of_one(self, layer: UnitLayer, tokens: int) -> int:
        """FLOPs of one unit of a layer that sees so many tokens."""
        if layer.kind == "channel":
            return 2 * 2 * tokens * self.spec.backbone.embed_dim
        return 2 * self._head_macs(tokens)

    def _head_macs(self, tokens: int) -> int:
        """Multiply-accumulates of one head: its projections, dot products and query probe."""
        if not tokens:
            return 0
        backbone = self.spec.backbone
        queries = backbone.active_queries(tokens)
        projected, probed = 2 * tokens, 0
        if queries < tokens:
            if backbone.sparse_form == "shared":
                projected = queries + (queries + 1)  # the mean value goes to the output as well
            else:
                probed = tokens * queries
        attention = 2 * queries * tokens
        return (projected * backbone.embed_dim + attention + probed) * backbone.head_dim
