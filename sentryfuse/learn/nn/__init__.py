"""Blocks that take numbers, know their own weight layout and how to shrink themselves."""

from sentryfuse.learn.nn.attention import GroupedQueryAttention
from sentryfuse.learn.nn.balance import balance_loss, entropy_loss
from sentryfuse.learn.nn.feedforward import FeedForward
from sentryfuse.learn.nn.laplace import LaplaceRouter
from sentryfuse.learn.nn.missing_bank import FixedBank, MissingBank
from sentryfuse.learn.nn.mixture import Experts, MixtureOfExperts, RoutedExperts
from sentryfuse.learn.nn.patches import PairMerge, PatchEmbedding
from sentryfuse.learn.nn.sample_norm import SampleNorm
from sentryfuse.learn.nn.sentry_attend import SentryAttend, SharedSentryAttend

__all__ = [
    "Experts",
    "FeedForward",
    "FixedBank",
    "GroupedQueryAttention",
    "LaplaceRouter",
    "MissingBank",
    "MixtureOfExperts",
    "PairMerge",
    "PatchEmbedding",
    "RoutedExperts",
    "SampleNorm",
    "SentryAttend",
    "SharedSentryAttend",
    "balance_loss",
    "entropy_loss",
]
