"""Features at a common scale, whatever they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MOMENTUM = 0.05
EPSILON = 1e-5


class RunningNorm(nn.Module):
    """Batch normalisation without scale and shift (Ioffe and Szegedy 2015).

    Where features are computed by the model, no statistics of the data set can be taken
    beforehand. Served, it is one multiplication and one addition, or folded into weights.

    Args:
        width: Features, in the last axis.
        dropout: Share of a sample's features that become their mean in training, everywhere.
        limit: Features further from their mean than so many deviations are drawn back to there;
            0 = none is.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, *, dropout: float = 0.0, limit: float = 0.0) -> None:
        super().__init__()
        self.dropout, self.limit = dropout, limit
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise ``[batch, ..., width]``; in training by the batch, which is remembered."""
        # A batch of one has no variance.
        training = self.training and x.numel() > x.shape[-1]
        rows = F.batch_norm(
            x.reshape(-1, x.shape[-1]),
            self.mean,
            self.variance,
            training=training,
            momentum=_MOMENTUM,
            eps=EPSILON,
        )
        standard = rows.view_as(x)
        if self.limit:
            standard = standard.clamp(-self.limit, self.limit)
        if not (self.training and self.dropout):
            return standard
        shape = (len(x), *[1] * (x.ndim - 2), x.shape[-1])
        return standard * (torch.rand(shape) >= self.dropout)
