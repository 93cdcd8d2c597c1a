"""Tokens that stand in for absent modalities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MissingBank(nn.Module):
    """A missing-modality bank (Yun et al. 2024, arXiv 2410.08245), factorised.

    The bank of Flex-MoE holds tokens for each pair of an observed combination and a missing
    modality: ``(2^M - 1) M`` entries. Here an entry is a sum over ``rank`` terms, a weight that
    depends on what is observed times tokens of the missing modality, so that the size grows
    linearly in M.

    Args:
        num_modalities: M.
        rank: Terms of the sum.
        tokens: Tokens for each missing modality.
        embed_dim: Width of the tokens.
    """

    def __init__(self, *, num_modalities: int, rank: int, tokens: int, embed_dim: int) -> None:
        super().__init__()
        self.observed = nn.Parameter(1 + 0.5 * torch.randn(num_modalities, rank))
        scale = rank**-0.5
        self.missing = nn.Parameter(scale * torch.randn(num_modalities, rank, tokens, embed_dim))

    def forward(self, present: Sequence[int]) -> Tensor:
        """Return the tokens of all absent modalities, in order.

        Args:
            present: Indices of the modalities that are present, one at least.

        Returns:
            ``[absent * tokens, embed_dim]``.
        """
        absent = [i for i in range(len(self.missing)) if i not in present]
        weights = self.observed[list(present)].mean(dim=0)  # [rank]
        tokens = (weights[:, None, None] * self.missing[absent]).sum(dim=1)
        return tokens.flatten(0, 1)

    def select(self, present: Sequence[int]) -> FixedBank:
        """Return only the tokens that this presence needs."""
        return FixedBank(self(present).detach())


class FixedBank(nn.Module):
    """A missing-modality bank for one presence.

    Args:
        tokens: ``[absent * tokens, embed_dim]``.
    """

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = nn.Parameter(tokens)

    def forward(self, present: Sequence[int]) -> Tensor:
        """Return the tokens, whatever is present."""
        return self.tokens
