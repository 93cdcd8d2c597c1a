"""The gate's teachers: how much the loss would change if a unit went.

To first order, or by the Fisher information, which is what is left of the second order where
training has made the first one vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.presence import Presence
from sentryfuse.units import Inventory


def first_order(scale_grad: Tensor) -> Tensor:
    """Return ``mean_n |dL_n / dxi_u|`` (Michel et al. 2019; Molchanov et al. 2019).

    Scaling a unit's output by a virtual factor xi = 1 makes the gradient of xi equal to the sum
    of activation times gradient over the unit's outputs, so the saliency falls out of the
    backward pass that training does anyway.

    Args:
        scale_grad: Gradient of the loss with respect to xi, ``[batch, num_units]``.

    Returns:
        ``[num_units]``.
    """
    return scale_grad.abs().mean(dim=0)


def fisher(scale_grad: Tensor) -> Tensor:
    """Return ``mean_n (dL_n / dxi_u)^2``: diagonal of the empirical Fisher information of xi.

    To second order, removing a unit changes the loss by half of it (Kwon et al. 2022, Eq. 8).

    Args:
        scale_grad: Gradient of the loss with respect to xi, ``[batch, num_units]``.

    Returns:
        ``[num_units]``.
    """
    return scale_grad.square().mean(dim=0)


SALIENCIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "first_order": first_order,
    "fisher": fisher,
}
"""From gradients of the virtual scale to a saliency, by the name that a recipe gives it."""


def scale_gradients(
    model: nn.Module, inputs: Mapping[str, Tensor], label: Tensor, num_units: int
) -> Tensor:
    """Return each window's own gradient of its cross-entropy by the virtual scale xi = 1.

    Args:
        model: Takes inputs and a scale ``[batch, num_units]``; left as it was.
        inputs: Standardised windows by modality, ``[batch, length, channels]``.
        label: ``[batch]``.
        num_units: Units of the model.

    Returns:
        ``[batch, num_units]``; 0 for units that these inputs do not reach.
    """
    dtype = next(model.parameters()).dtype
    scale = torch.ones(len(label), num_units, dtype=dtype, requires_grad=True)
    # A sum over windows that do not see one another: row n is the gradient of L_n alone.
    loss = F.cross_entropy(model(inputs, scale), label, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, scale)
    return gradient


class SaliencyTeacher:
    """Running, per-layer normalised saliency for each presence.

    Every layer's largest unit counts 1, so that layers of different depth and kind compare.

    Args:
        inventory: Units of the backbone.
        decay: Of the exponential moving average per presence.
    """

    def __init__(self, inventory: Inventory, decay: float = 0.9) -> None:
        self._inventory = inventory
        self._decay = decay
        self._targets: dict[int, Tensor] = {}

    def target(self, presence: Presence) -> Tensor | None:
        """Return the target for this presence, ``[num_units]``; None before its first batch."""
        return self._targets.get(presence.bits)

    def update(self, presence: Presence, saliency: Tensor) -> Tensor:
        """Take in one batch's saliency and return the new target, ``[num_units]``."""
        target = torch.zeros_like(saliency)
        for layer in self._inventory.layers:
            values = saliency[layer.units]
            target[layer.units] = values / values.max().clamp_min(1e-12)
        previous = self._targets.get(presence.bits, target)
        averaged = self._decay * previous + (1 - self._decay) * target
        self._targets[presence.bits] = averaged
        return averaged

    def state_dict(self) -> dict[int, Tensor]:
        """Return the running targets by presence bits."""
        return dict(self._targets)

    def load_state_dict(self, state: dict[int, Tensor]) -> None:
        """Continue from saved targets."""
        self._targets = dict(state)
