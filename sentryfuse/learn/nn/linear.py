"""Scaling and shrinking a linear layer by rows or columns."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def scaled_linear(layer: nn.Linear, x: Tensor, scale: Tensor | None) -> Tensor:
    """Apply ``layer`` to ``x * scale``.

    Args:
        layer: Linear layer over the last axis.
        x: ``[batch, time, features]``.
        scale: Factor on each feature, ``[batch, features]``, or ``[1, features]`` for all rows
            alike, which is folded into the weight: far fewer numbers to multiply.
    """
    if scale is None:
        return F.linear(x, layer.weight, layer.bias)
    if len(scale) == 1:
        return F.linear(x, layer.weight * scale, layer.bias)
    return F.linear(x * scale[:, None, :], layer.weight, layer.bias)


def select_outputs(layer: nn.Linear, rows: Tensor) -> nn.Linear:
    """Return a copy of ``layer`` that computes only these output features."""
    return _from_tensors(layer.weight.detach()[rows], layer.bias.detach()[rows])


def select_inputs(layer: nn.Linear, columns: Tensor) -> nn.Linear:
    """Return a copy of ``layer`` that reads only these input features; the bias stays."""
    return _from_tensors(layer.weight.detach()[:, columns], layer.bias.detach())


def _from_tensors(weight: Tensor, bias: Tensor) -> nn.Linear:
    # Its first random weights would be thrown away, so they are not drawn.
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    layer.out_features, layer.in_features = weight.shape
    layer.weight = nn.Parameter(weight.clone())
    layer.bias = nn.Parameter(bias.clone())
    return layer
