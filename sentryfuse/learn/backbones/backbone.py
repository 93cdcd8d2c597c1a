"""What every backbone is: an encoder for each modality, and a fusion of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sentryfuse.learn.backbones.encoder import ModalityEncoder
from sentryfuse.learn.backbones.scales import UnitScales
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.units import BoolArray, Inventory

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backbone says to a batch."""

    logits: Tensor
    """``[batch, num_classes]``"""
    auxiliary_loss: Tensor
    """What the backbone wants of its routers, a scalar; 0 if nothing."""


class Backbone(nn.Module, ABC):
    """A multimodal transformer whose units can be scaled and removed.

    A subclass makes its fusion modules, computes (:meth:`fuse`) and shrinks them
    (:meth:`select_fusion`). Its parts stand in ``sentryfuse/units``, its torch-free twin in
    ``sentryfuse/variants/graphs``, in modules of the same name.

    Args:
        spec: Shape of the unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.inventory = Inventory(spec)
        self.encoders = nn.ModuleDict(
            {m.name: ModalityEncoder(m, spec.backbone) for m in spec.modalities}
        )

    def forward(self, inputs: Mapping[str, Tensor], scale: Tensor | None = None) -> Tensor:
        """Return the logits of :meth:`answer`, ``[batch, num_classes]``."""
        return self.answer(inputs, scale).logits

    def answer(self, inputs: Mapping[str, Tensor], scale: Tensor | None = None) -> Answer:
        """Classify a batch whose rows all have the modalities that ``inputs`` names.

        Args:
            inputs: Standardised windows by modality, ``[batch, length, channels]``; absent
                modalities are left out and no encoder runs for them.
            scale: Factor on each unit, ``[num_units]`` or ``[batch, num_units]`` in the
                inventory's order; a hard mask of zeros and ones prunes.
        """
        presence = Presence.named(inputs, self.spec.modality_names)
        scales = UnitScales(self.inventory, scale)
        return self.fuse(self.encode(inputs, scales), presence, scales)

    def encode(self, inputs: Mapping[str, Tensor], scales: UnitScales) -> dict[str, Tensor]:
        """Return the fusion tokens of each modality that is there, in the spec's order."""
        return {
            name: self.encoders[name](inputs[name], scales)
            for name in self.spec.modality_names
            if name in inputs
        }

    @abstractmethod
    def fuse(self, tokens: Mapping[str, Tensor], presence: Presence, scales: UnitScales) -> Answer:
        """Classify from the tokens of the present modalities.

        Args:
            tokens: ``[batch, time, embed_dim]`` by modality, in the spec's order.
            presence: Whose they are.
            scales: Factors on the units.
        """

    @abstractmethod
    def select_fusion(self, presence: Presence, keep: BoolArray) -> None:
        """Drop from the fusion what this presence and mask leave unused."""

    def fit_samples(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Let every encoder see the standardised windows of the training groups, once."""
        for name, encoder in self.encoders.items():
            assert isinstance(encoder, ModalityEncoder)
            if encoder.embedding.sample_norm is not None:
                encoder.embedding.sample_norm.fit(torch.from_numpy(arrays[name]))

    def copied(self) -> Self:
        """Return a model of its own tensors and hooks; what never changes is shared."""
        return _copied(self)

    def select(self, presence: Presence, keep: BoolArray) -> Self:
        """Return a smaller model without the pruned units and the absent encoders.

        Exact: the new model computes what this one computes with the mask as ``scale``.

        Args:
            presence: Modalities that the new model reads.
            keep: Units that stay, ``[num_units]``.
        """
        names = self.spec.modality_names
        pruned = _copied(self, without=("encoders",)).eval()
        pruned.encoders = _copied(self.encoders, set(names) - set(presence.names(names))).eval()
        for encoder in pruned.encoders.values():
            assert isinstance(encoder, ModalityEncoder)
            encoder.select_units(self.inventory, keep)
        pruned.select_fusion(presence, keep)
        return pruned


def _copied(module: _Module, without: Container[str] = ()) -> _Module:
    """Copy a module but for some children, far faster than ``copy.deepcopy``.

    A grid of pruned models makes thousands, of a hundred small modules each.
    """
    twin = type(module).__new__(type(module))
    # What is no dictionary is a number or a frozen value; hooks are dictionaries.
    own = {key: v.copy() if isinstance(v, dict) else v for key, v in vars(module).items()}
    for name, parameter in own["_parameters"].items():
        if parameter is not None:
            own["_parameters"][name] = nn.Parameter(parameter.detach().clone())
    for name, buffer in own["_buffers"].items():
        own["_buffers"][name] = buffer.clone()
    children = own["_modules"].items()
    own["_modules"] = {n: _copied(m) for n, m in children if n not in without and m is not None}
    vars(twin).update(own)
    return twin
