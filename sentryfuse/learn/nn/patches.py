"""From samples to tokens, and from many tokens to fewer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn.running_norm import RunningNorm
from sentryfuse.learn.nn.sample_norm import SampleNorm
from sentryfuse.learn.nn.statistics import step_features, summarise
from sentryfuse.spec import STEP_FEATURES


class PatchEmbedding(nn.Module):
    """Cut a window into patches, project each, add a learned position (Nie et al. 2023).

    A summary token may follow the patches: statistics of the whole window, projected. On
    windows of many sensors, such statistics alone are a strong classifier, and a few layers of
    attention do not find them by themselves.

    Args:
        length: Samples in a window.
        channels: Channels of a sample.
        patch_length: Rows in a patch; the last patch is padded with zeros.
        embed_dim: Width of the tokens.
        statistics: What the summary token says of each column, by name; none = no such token.
        standardise_statistics: Whether statistics are standardised before they are projected.
        gaps: Whether samples may be NaN. They count as zero, and each patch is also told which
            of its samples were measured; statistics are those of the measured ones.
        step_length: Samples in a step. Rows are steps, described by ``step_features``; if 1,
            rows are the samples themselves.
        feature_dropout: Share of features of steps, and of standardised statistics, that are
            hidden in training.
        feature_limit: How many deviations from their mean those features can be; 0 = any number.
        sample_norm: Whether each sample is standardised by itself on its way into a patch.
    """

    def __init__(
        self,
        *,
        length: int,
        channels: int,
        patch_length: int,
        embed_dim: int,
        statistics: Sequence[str] = (),
        standardise_statistics: bool = False,
        gaps: bool = False,
        step_length: int = 1,
        feature_dropout: float = 0.0,
        feature_limit: float = 0.0,
        sample_norm: bool = False,
    ) -> None:
        super().__init__()
        self.patch_length, self.step_length = patch_length, step_length
        self.statistics, self.gaps = tuple(statistics), gaps
        self.step_norm = None
        scale = partial(RunningNorm, dropout=feature_dropout, limit=feature_limit)
        if step_length > 1:
            length, channels = length // step_length, STEP_FEATURES * channels
            self.step_norm = scale(channels)
        self.sample_norm = SampleNorm(length=length, channels=channels) if sample_norm else None
        self.num_patches = -(-length // patch_length)
        self.project = nn.Linear(patch_length * channels * (1 + gaps), embed_dim)
        self.summary, self.summary_norm = None, None
        if self.statistics:
            width = len(self.statistics) * channels
            self.summary = nn.Linear(width, embed_dim)
            if standardise_statistics:
                self.summary_norm = scale(width)
        tokens = self.num_patches + (self.summary is not None)
        self.position = nn.Parameter(torch.randn(tokens, embed_dim) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Turn ``[batch, length, channels]`` into ``[batch, time, embed_dim]``."""
        known = None
        if self.gaps:
            known = x.isfinite()
            x = torch.where(known, x, 0.0)
        if self.step_norm is not None:
            x = self.step_norm(step_features(x, self.step_length))
        patches = self._patches(x if self.sample_norm is None else self.sample_norm(x))
        if known is not None:
            patches = torch.cat([patches, self._patches(known.to(x.dtype))], dim=2)
        tokens: Tensor = self.project(patches)
        if self.summary is not None:
            values = summarise(x, known, self.statistics)
            if self.summary_norm is not None:
                values = self.summary_norm(values)
            tokens = torch.cat([tokens, self.summary(values)[:, None]], dim=1)
        return tokens + self.position

    def _patches(self, x: Tensor) -> Tensor:
        """Turn ``[batch, rows, columns]`` into ``[batch, patches, patch_length * columns]``."""
        padding = self.num_patches * self.patch_length - x.shape[1]
        return F.pad(x, (0, 0, 0, padding)).reshape(len(x), self.num_patches, -1)


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
