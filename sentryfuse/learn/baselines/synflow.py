"""SynFlow (Tanaka et al. 2020, arXiv 2006.05467): prune what carries the least flow.

The flow is the sum of the outputs of the network with absolute weights and no nonlinearity, fed
with ones. It needs no data, and iterating keeps any layer from being emptied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.backbones.encoder import ModalityEncoder
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.scorer import by_rank
from sentryfuse.learn.nn import PatchEmbedding, SampleNorm
from sentryfuse.presence import Presence
from sentryfuse.pruning import select_units
from sentryfuse.units import BoolArray, FloatArray, Inventory

_IDENTITY = (F.gelu, F.relu, F.silu, F.layer_norm, torch.layer_norm)
_UNIFORM = (torch.softmax, Tensor.softmax, F.softmax)
# Far enough that only floors are left of every kind.
_LAST_DENSITY = 0.005


class LinearFlow(TorchFunctionMode):
    """While active, nonlinearities and norms are the identity, and a softmax weighs evenly.

    With these, a network of non-negative weights is linear in each of them and in its input,
    which is what SynFlow's conservation laws assume (theorems 1 and 2 there: ReLU networks; a
    transformer's softmax and norms would break them).
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Stand in for one function call."""
        if func in _IDENTITY:
            return args[0]
        if func in _UNIFORM:
            dim = kwargs["dim"] if kwargs and "dim" in kwargs else args[1]
            return torch.full_like(args[0], 1 / args[0].shape[dim])
        return func(*args, **(kwargs or {}))


def flow_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the absolute weights of every linear layer, and zeros for all that only adds.

    Biases, positions and the like carry nothing from the input.
    """
    weights = {
        name: torch.zeros_like(p, dtype=torch.float64) for name, p in model.named_parameters()
    }
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            weights[f"{name}.weight"] = module.weight.detach().double().abs()
        if isinstance(module, SampleNorm):
            weights[f"{name}.mean"] = torch.zeros_like(module.mean, dtype=torch.float64)
            weights[f"{name}.scale"] = module.scale.double()
    return weights


def total_flow(
    model: Backbone, weights: Mapping[str, Tensor], presence: Presence, scale: Tensor
) -> Tensor:
    """Sum of all outputs for one window of ones.

    Args:
        model: Gives the wiring.
        weights: From :func:`flow_weights`.
        presence: Modalities that are fed.
        scale: Factor on each unit, ``[num_units]``, float64.
    """
    ones = {
        m.name: torch.ones(1, m.length, m.channels, dtype=torch.float64)
        for m in (model.spec.modalities[i] for i in presence)
    }
    with LinearFlow():
        out: Tensor = functional_call(model, dict(weights), (ones, scale))
    return out.sum()


class _OnesAsFeatures(nn.Module):
    """A patch embedding that sees ones in place of what it would make of a window.

    Logarithms of a window of ones are negative and differ by their floors alone, so where
    tokens are made of computed features the flow begins behind these, at the first weights.
    """

    def __init__(self, embedding: PatchEmbedding) -> None:
        super().__init__()
        self.num_patches = embedding.num_patches
        self.project, self.summary = embedding.project, embedding.summary

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``[batch, length, channels]``, whatever they are, into the tokens of ones."""
        tokens: Tensor = self.project(
            x.new_ones(len(x), self.num_patches, self.project.in_features)
        )
        if self.summary is None:
            return tokens
        summary = self.summary(x.new_ones(len(x), 1, self.summary.in_features))
        return torch.cat([tokens, summary], dim=1)


def from_features(model: Backbone) -> Backbone:
    """Return the model as the flow sees it: see :class:`_OnesAsFeatures`."""
    if model.spec.backbone.steps == 0 and model.spec.backbone.summary == "plain":
        return model
    fed = model.copied()
    for encoder in fed.encoders.values():
        assert isinstance(encoder, ModalityEncoder)
        encoder.embedding = _OnesAsFeatures(encoder.embedding)  # type: ignore[assignment]
    return fed


class SynFlow:
    """Units in the order in which SynFlow's iterations remove them.

    A unit's flow is the sum of |dR/dw * w| over its outgoing weights; by conservation the same
    sum over its incoming ones, and xi * dR/dxi of a factor xi on it. Where the authors run the
    schedule once for each target, we run it once down to the floors, so that masks are nested.

    Args:
        rounds: Iterations (100, as published); the density falls exponentially.
    """

    def __init__(self, rounds: int = 100) -> None:
        self._rounds = rounds

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score by the round in which a unit goes, then by its flow in that round."""
        model = from_features(model)
        weights = flow_weights(model)
        keep = inventory.active(presence)
        scores = np.zeros(inventory.num_units)
        for number in range(1, self._rounds + 1):
            flow = unit_flow(model, weights, presence, keep)
            ratio = 1 - _LAST_DENSITY ** (number / self._rounds)
            left = select_units(flow, inventory, presence, ratio) & keep
            # Whoever survives is scored anew in the next round, and so above the rest.
            scores[keep] = number + by_rank(flow[keep])
            keep = left
        return scores / (self._rounds + 1)


def unit_flow(
    model: Backbone, weights: Mapping[str, Tensor], presence: Presence, keep: BoolArray
) -> FloatArray:
    """Flow through each unit, ``[num_units]``; 0 where ``keep`` is False."""
    scale = torch.from_numpy(keep.astype(np.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(total_flow(model, weights, presence, scale), scale)
    flow: FloatArray = (gradient * scale).detach().numpy()
    return flow
