"""Losses that keep a router from forgetting experts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sentryfuse.learn.nn.mixture import routing_weights


def balance_loss(logits: Tensor, experts_per_token: int) -> Tensor:
    """Uneven use of the experts: cv^2(importance) + cv^2(load) (Shazeer et al. 2017, 1701.06538).

    Importance is the sum of an expert's routing weights, load the expected number of tokens
    that choose it if the logits were disturbed by standard normal noise. Unlike there, the noise
    is only imagined: the gradient is the same, and equal inputs give equal outputs.

    Args:
        logits: ``[batch, time, num_experts]``.
        experts_per_token: How many experts a token chooses.

    Returns:
        A scalar, 0 for a single expert and for even use.
    """
    if logits.shape[-1] == 1:
        return logits.new_zeros(())
    importance = routing_weights(logits, experts_per_token).flatten(0, -2).sum(dim=0)
    loss = _squared_variation(importance)
    if experts_per_token < logits.shape[-1]:
        loss = loss + _squared_variation(_load(logits, experts_per_token))
    return loss


def entropy_loss(logits: Sequence[Tensor]) -> Tensor:
    """Let each modality be sure of its experts, and all of them together use every expert.

    mean_m H(p_m) - H(mean_m p_m), with p_m the mean of modality m's routing before the top-k
    choice: the local and the global entropy of LIMoE (Mustafa et al. 2022, arXiv 2206.02770),
    which FuseMoE takes up.

    Args:
        logits: One ``[batch, time, num_experts]`` for each modality present.

    Returns:
        A scalar in [-ln num_experts, 0]; 0 if there is only one modality.
    """
    usage = torch.stack([x.softmax(dim=-1).flatten(0, -2).mean(dim=0) for x in logits])
    return _entropy(usage).mean() - _entropy(usage.mean(dim=0))


def _load(logits: Tensor, experts_per_token: int) -> Tensor:
    """Probability that each expert is chosen, summed over the tokens, ``[num_experts]``."""
    best = logits.topk(experts_per_token + 1, dim=-1).values
    worst_chosen, best_left = best[..., -2:-1], best[..., -1:]
    rival = torch.where(logits >= worst_chosen, best_left, worst_chosen)
    chosen: Tensor = torch.special.ndtr(logits - rival)
    return chosen.flatten(0, -2).sum(dim=0)


def _squared_variation(x: Tensor) -> Tensor:
    return x.var() / x.mean().square()


def _entropy(p: Tensor) -> Tensor:
    terms: Tensor = torch.special.entr(p)
    return terms.sum(dim=-1)
