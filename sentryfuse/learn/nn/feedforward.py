"""Two-layer feed-forward block whose hidden channels can be removed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn.linear import scaled_linear, select_inputs, select_outputs


class FeedForward(nn.Module):
    """``W2 gelu(W1 x)``, position by position.

    Args:
        embed_dim: Width of the tokens.
        hidden_dim: Number of hidden channels, the units of pruning.
    """

    def __init__(self, *, embed_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.expand = nn.Linear(embed_dim, hidden_dim)
        self.project = nn.Linear(hidden_dim, embed_dim)

    def forward(self, x: Tensor, *, channel_scale: Tensor | None = None) -> Tensor:
        """Transform tokens ``[batch, time, embed_dim]``.

        Args:
            x: Tokens.
            channel_scale: Factor on each hidden channel, ``[batch or 1, hidden_dim]``.

        Returns:
            ``[batch, time, embed_dim]``.
        """
        return scaled_linear(self.project, F.gelu(self.expand(x)), channel_scale)

    def select_channels(self, channels: Sequence[int]) -> FeedForward:
        """Return a block with only these hidden channels."""
        index = torch.tensor(channels)
        block = FeedForward(embed_dim=self.expand.in_features, hidden_dim=len(channels))
        block.expand = select_outputs(self.expand, index)
        block.project = select_inputs(self.project, index)
        return block
