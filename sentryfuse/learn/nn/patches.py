"""From samples to tokens, and from many tokens to fewer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn.sample_norm import SampleNorm
from sentryfuse.spec import SUMMARY_STATISTICS


class PatchEmbedding(nn.Module):
    """Cut a window into patches, project each, add a learned position (Nie et al. 2023).

    A summary token may follow the patches: the statistics of the whole window, projected. On
    windows of body-worn sensors, such statistics alone are a strong classifier, and a few
    layers of attention do not find them by themselves.

    Args:
        length: Samples in a window.
        channels: Channels of a sample.
        patch_length: Samples in a patch; the last patch is padded with zeros.
        embed_dim: Width of the tokens.
        summary: Whether to add the summary token.
        sample_norm: Whether each sample is standardised by itself on its way into a patch.
    """

    def __init__(
        self,
        *,
        length: int,
        channels: int,
        patch_length: int,
        embed_dim: int,
        summary: bool,
        sample_norm: bool = False,
    ) -> None:
        super().__init__()
        self.sample_norm = SampleNorm(length=length, channels=channels) if sample_norm else None
        self.patch_length = patch_length
        self.num_patches = -(-length // patch_length)
        self.project = nn.Linear(patch_length * channels, embed_dim)
        self.summary = nn.Linear(SUMMARY_STATISTICS * channels, embed_dim) if summary else None
        self.position = nn.Parameter(torch.randn(self.num_patches + summary, embed_dim) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``[batch, length, channels]`` into ``[batch, time, embed_dim]``."""
        padding = self.num_patches * self.patch_length - x.shape[1]
        samples = x if self.sample_norm is None else self.sample_norm(x)
        padded = F.pad(samples, (0, 0, 0, padding))
        tokens: Tensor = self.project(padded.view(len(x), self.num_patches, -1))
        if self.summary is not None:
            tokens = torch.cat([tokens, self.summary(statistics(x))[:, None]], dim=1)
        return tokens + self.position


def statistics(x: Tensor) -> Tensor:
    """Mean, standard deviation, minimum and maximum over time, ``[batch, 4 * channels]``."""
    mean = x.mean(dim=1)
    variance = (x - mean[:, None]).square().mean(dim=1)
    # The small constant keeps the gradient finite where a channel does not move.
    deviation = (variance + 1e-6).sqrt()
    return torch.cat([mean, deviation, x.amin(dim=1), x.amax(dim=1)], dim=1)


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
        batch, time, width = x.shape
        pairs = F.pad(x, (0, 0, 0, time % 2)).reshape(batch, -1, 2 * width)
        merged: Tensor = self.project(pairs)
        return merged
