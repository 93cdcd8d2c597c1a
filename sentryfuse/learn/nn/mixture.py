"""A mixture of expert feed-forward blocks, computed as one wide block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn.linear import scaled_linear, select_inputs, select_outputs


class MixtureOfExperts(nn.Module):
    """Expert channels side by side, each scaled by its expert's routing weight.

    A token's output is the sum over its ``experts_per_token`` best experts of routing weight
    times expert output, plus one bias. For the few dozen tokens of a sensor window one wide
    product beats gathering tokens per expert, so every expert is computed and FLOPs count all
    of them. Experts may keep different numbers of channels after pruning, down to none.

    Args:
        embed_dim: Width of the tokens.
        expert_index: Expert of each hidden channel.
        num_experts: Experts the router chooses from.
        experts_per_token: How many take part for one token; all of them gives a smooth mixture.
    """

    expert_index: Tensor

    def __init__(
        self,
        *,
        embed_dim: int,
        expert_index: Sequence[int],
        num_experts: int,
        experts_per_token: int,
    ) -> None:
        super().__init__()
        self.experts_per_token = experts_per_token
        self.router = nn.Linear(embed_dim, num_experts)
        self.expand = nn.Linear(embed_dim, len(expert_index))
        self.project = nn.Linear(len(expert_index), embed_dim)
        width = len(expert_index) // num_experts
        even = [e for e in range(num_experts) for _ in range(width)]
        self._experts_are_even = list(expert_index) == even
        self.register_buffer("expert_index", torch.tensor(list(expert_index)), persistent=False)

    def forward(self, x: Tensor, *, channel_scale: Tensor | None = None) -> Tensor:
        """Transform tokens ``[batch, time, embed_dim]``.

        Args:
            x: Tokens.
            channel_scale: Factor on each expert channel, ``[batch or 1, channels]``.

        Returns:
            ``[batch, time, embed_dim]``.
        """
        hidden = F.gelu(self.expand(x))  # [batch, time, channels]
        weights = self.routing(x)  # [batch, time, experts]
        if self._experts_are_even:
            hidden = (hidden.view(*weights.shape, -1) * weights[..., None]).flatten(2)
        else:
            hidden = hidden * weights[..., self.expert_index]
        return scaled_linear(self.project, hidden, channel_scale)

    def routing(self, x: Tensor) -> Tensor:
        """Weight of each expert for each token, ``[batch, time, num_experts]``.

        The weights are scaled by the number of experts that take part, so that an even split
        leaves each expert at full strength.
        """
        logits: Tensor = self.router(x)
        if self.experts_per_token < logits.shape[-1]:
            worst_kept = logits.topk(self.experts_per_token, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < worst_kept, float("-inf"))
        return logits.softmax(dim=-1) * self.experts_per_token

    def select_channels(self, channels: Sequence[int]) -> MixtureOfExperts:
        """Return a mixture with only these expert channels; the router stays whole."""
        index = torch.tensor(channels)
        block = MixtureOfExperts(
            embed_dim=self.expand.in_features,
            expert_index=self.expert_index[index].tolist(),
            num_experts=self.router.out_features,
            experts_per_token=self.experts_per_token,
        )
        block.router.load_state_dict(self.router.state_dict())
        block.router.to(self.router.weight.dtype)
        block.expand = select_outputs(self.expand, index)
        block.project = select_inputs(self.project, index)
        return block
