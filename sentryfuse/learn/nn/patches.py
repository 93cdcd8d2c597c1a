"""From samples to tokens, and from many tokens to fewer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PatchEmbedding(nn.Module):
    """Cut a window into patches, project each, add a learned position (Nie et al. 2023).

    Args:
        length: Samples in a window.
        channels: Channels of a sample.
        patch_length: Samples in a patch; the last patch is padded with zeros.
        embed_dim: Width of the tokens.
    """

    def __init__(self, *, length: int, channels: int, patch_length: int, embed_dim: int) -> None:
        super().__init__()
        self.patch_length = patch_length
        self.num_patches = -(-length // patch_length)
        self.project = nn.Linear(patch_length * channels, embed_dim)
        self.position = nn.Parameter(torch.randn(self.num_patches, embed_dim) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``[batch, length, channels]`` into ``[batch, num_patches, embed_dim]``."""
        padding = self.num_patches * self.patch_length - x.shape[1]
        patches = F.pad(x, (0, 0, 0, padding)).unflatten(1, (self.num_patches, -1)).flatten(2)
        tokens: Tensor = self.project(patches) + self.position
        return tokens


class PairMerge(nn.Module):
    """Halve the tokens by projecting neighbours together.

    Informer's distilling step (Zhou et al. 2021, Eq. 5) with one matrix product in place of
    convolution and pooling: fewer operations, which is what a small CPU pays for. An odd last
    token is paired with zeros.
    """

    def __init__(self, *, embed_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * embed_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``[batch, time, embed_dim]`` into ``[batch, ceil(time / 2), embed_dim]``."""
        pairs = F.pad(x, (0, 0, 0, x.shape[1] % 2)).unflatten(1, (-1, 2)).flatten(2)
        merged: Tensor = self.project(pairs)
        return merged
