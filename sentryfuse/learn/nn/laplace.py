"""The Laplace gate: experts are chosen by how near their prototypes are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Keeps the square root's gradient finite where a token sits on a prototype.
_LEAST_SQUARE = 1e-6


class LaplaceRouter(nn.Module):
    """``h_e(x) = -||x - w_e||`` (FuseMoE, Han et al. 2024, arXiv 2402.03226).

    A softmax over h is a mixture of Laplace densities. Unlike a dot product, h is bounded from
    above, so no expert wins by the length of its weights alone.

    Args:
        embed_dim: Width of the tokens, which should be normalised.
        num_experts: Experts to choose from.
    """

    def __init__(self, *, embed_dim: int, num_experts: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(num_experts, embed_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Turn tokens ``[batch, time, embed_dim]`` into ``[batch, time, num_experts]``.

        The square is multiplied out: one matrix product, which a FLOP counter sees.
        """
        w = self.prototypes
        squares = x.square().sum(-1, keepdim=True) - 2 * (x @ w.T) + w.square().sum(-1)
        return -squares.clamp_min(_LEAST_SQUARE).sqrt()
