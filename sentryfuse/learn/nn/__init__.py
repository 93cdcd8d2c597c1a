"""Blocks that take numbers, know their own weight layout and how to shrink themselves."""

from sentryfuse.learn.nn.attention import GroupedQueryAttention
from sentryfuse.learn.nn.feedforward import FeedForward
from sentryfuse.learn.nn.mixture import MixtureOfExperts
from sentryfuse.learn.nn.patches import PairMerge, PatchEmbedding
from sentryfuse.learn.nn.sentry_attend import SentryAttend

__all__ = [
    "FeedForward",
    "GroupedQueryAttention",
    "MixtureOfExperts",
    "PairMerge",
    "PatchEmbedding",
    "SentryAttend",
]
