"""Standardising each sample of a window by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SampleNorm(nn.Module):
    """``(x - mean) / deviation`` with statistics for each sample and channel, fitted once.

    For windows that begin at the same moment of a cycle: what tells one state of a machine from
    another may be small beside what every cycle does.

    Args:
        length: Samples in a window.
        channels: Channels of a sample.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, *, length: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(length, channels))
        self.register_buffer("scale", torch.ones(length, channels))

    def fit(self, x: Tensor, floor: float = 0.01) -> None:
        """Take the statistics of training windows ``[windows, length, channels]``.

        Args:
            x: Standardised by channel.
            floor: Added to the deviations, so that a sample that never differs does not become
                all noise.
        """
        self.mean.copy_(x.mean(dim=0))
        self.scale.copy_(1 / (x.std(dim=0, correction=0) + floor))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise ``[batch, length, channels]``."""
        return (x - self.mean) * self.scale
