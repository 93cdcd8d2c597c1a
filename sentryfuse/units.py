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
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.spec import SUMMARY_STATISTICS, ModelSpec

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitLayer:
    """The units of one attention or feed-forward layer.

    ``modality`` is the index of the modality whose encoder holds the layer; None for fusion,
    whose token count is the sum over the present modalities.
    """

    name: str
    kind: Literal["head", "channel"]
    count: int
    offset: int
    modality: int | None
    depth: int
    group: int
    """Heads that share one key/value head, or channels of one expert."""

    @property
    def units(self) -> slice:
        """Where the layer's units stand in a vector over all units."""
        return slice(self.offset, self.offset + self.count)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a (pruned) model costs for one sample."""

    flops: int
    parameters: int


class Inventory:
    """Units of a model and their costs.

    Args:
        spec: The unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.layers = _LAYOUTS[_known_kind(spec)](spec)
        self._by_name = {layer.name: layer for layer in self.layers}

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
        if layer.modality is None:
            return sum(self._encoder_tokens[i][-1] for i in presence)
        if layer.modality not in presence:
            return 0
        return self._encoder_tokens[layer.modality][layer.depth]

    def active(self, presence: Presence) -> BoolArray:
        """Which units exist for this presence, ``[num_units]``."""
        active = np.zeros(self.num_units, dtype=np.bool_)
        for layer in self.layers:
            active[layer.units] = layer.modality is None or layer.modality in presence
        return active

    def unit_flops(self, presence: Presence) -> FloatArray:
        """FLOPs that disappear with each unit alone, ``[num_units]``; 0 for absent modalities.

        A head's key/value projection is shared by its group and is not the head's own cost: it
        is saved on top when the whole group goes (:meth:`cost` counts that).
        """
        flops = np.zeros(self.num_units)
        backbone = self.spec.backbone
        for layer in self.layers:
            tokens = self.tokens(layer, presence)
            if layer.kind == "head":
                queries = backbone.active_queries(tokens) if tokens else 0
                projections = 2 * tokens * backbone.embed_dim * backbone.head_dim
                attention = 2 * queries * tokens * backbone.head_dim
                flops[layer.units] = 2 * (projections + attention + self._probe_macs(tokens))
            else:
                flops[layer.units] = 2 * 2 * tokens * backbone.embed_dim
        return flops

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
        kept = keep & self.active(presence)
        macs, parameters = self._fixed_cost(presence)
        backbone = self.spec.backbone
        d = backbone.embed_dim
        for layer in self.layers:
            tokens = self.tokens(layer, presence)
            if not tokens:
                continue
            count = int(kept[layer.units].sum())
            if layer.kind == "head":
                groups = int(kept[layer.units].reshape(-1, layer.group).any(axis=1).sum())
                width = count * backbone.head_dim
                kv_width = 2 * groups * backbone.head_dim
                macs += tokens * d * kv_width
                parameters += d * (2 * width + kv_width) + width + kv_width
            else:
                parameters += count * (2 * d + 1)
        unit_flops = self.unit_flops(presence)[kept].sum()
        return Cost(flops=2 * macs + int(unit_flops), parameters=parameters)

    @cached_property
    def _encoder_tokens(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.spec.backbone.encoder_tokens(m) for m in self.spec.modalities)

    def _probe_macs(self, tokens: int) -> int:
        """Multiply-accumulates of one head's query probe in a sparse layer (0 if dense)."""
        backbone = self.spec.backbone
        queries = backbone.active_queries(tokens) if tokens else 0
        return tokens * queries * backbone.head_dim if queries < tokens else 0

    def _fixed_cost(self, presence: Presence) -> tuple[int, int]:
        """Return MACs and parameters of all that is never pruned."""
        spec, backbone = self.spec, self.spec.backbone
        d = backbone.embed_dim
        macs = d * d + d * spec.num_classes
        parameters = 2 * d + d * d + d + d * spec.num_classes + spec.num_classes  # norm and head
        for i in presence:
            modality, tokens = spec.modalities[i], self._encoder_tokens[i]
            patch_dim = backbone.patch_length(modality) * modality.channels
            macs += backbone.num_patches(modality) * patch_dim * d
            parameters += patch_dim * d + d + tokens[0] * d + tokens[-1] * d
            if backbone.summary_token:
                macs += SUMMARY_STATISTICS * modality.channels * d
                parameters += SUMMARY_STATISTICS * modality.channels * d + d
            for merged in tokens[1:]:
                macs += merged * 2 * d * d
                parameters += 2 * d * d + d
        for layer in self.layers:
            tokens_seen = self.tokens(layer, presence)
            if not tokens_seen:
                continue
            parameters += 2 * d + d  # the layer's norm and its output bias
            if layer.kind == "channel" and layer.group < layer.count:
                macs += tokens_seen * d * backbone.num_experts
                parameters += d * backbone.num_experts + backbone.num_experts
        return macs, parameters


def _maestro_layers(spec: ModelSpec) -> tuple[UnitLayer, ...]:
    """Encoders in modality order, then fusion; in each layer heads, then channels."""
    backbone = spec.backbone
    layers: list[UnitLayer] = []

    def add(
        scope: str, part: str, *, count: int, group: int, modality: int | None, depth: int
    ) -> None:
        layers.append(
            UnitLayer(
                name=f"{scope}.{depth}.{part}",
                kind="head" if part == "attention" else "channel",
                count=count,
                offset=layers[-1].offset + layers[-1].count if layers else 0,
                modality=modality,
                depth=depth,
                group=group,
            )
        )

    heads = {
        "count": backbone.num_heads,
        "group": backbone.num_heads // backbone.num_kv_heads,
    }
    for index, modality in enumerate(spec.modalities):
        for depth in range(backbone.encoder_layers):
            scope = f"encoders.{modality.name}"
            add(scope, "attention", **heads, modality=index, depth=depth)
            width = backbone.ffn_dim
            add(scope, "ffn", count=width, group=width, modality=index, depth=depth)
    for depth in range(backbone.fusion_layers):
        add("fusion", "attention", **heads, modality=None, depth=depth)
        width = backbone.expert_dim
        experts = backbone.num_experts * width
        add("fusion", "moe", count=experts, group=width, modality=None, depth=depth)
    return tuple(layers)


_LAYOUTS: dict[str, Callable[[ModelSpec], tuple[UnitLayer, ...]]] = {"maestro": _maestro_layers}


def _known_kind(spec: ModelSpec) -> str:
    if spec.backbone.kind not in _LAYOUTS:
        raise ConfigError(
            f"backbone.kind must be one of {sorted(_LAYOUTS)}, got {spec.backbone.kind!r}"
        )
    return spec.backbone.kind
