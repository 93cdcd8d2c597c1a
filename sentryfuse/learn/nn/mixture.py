"""A mixture of expert feed-forward blocks, computed as one wide block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn.linear import scaled_linear, select_inputs, select_outputs


class Experts(nn.Module):
    """Expert channels side by side, each scaled by its expert's routing weight.

    A token's output is the sum over the experts of routing weight times expert output, plus one
    bias. For the few dozen tokens of a sensor window one wide product beats gathering tokens per
    expert, so every expert is computed and FLOPs count all of them. Experts may keep different
    numbers of channels after pruning, down to none.

    Args:
        embed_dim: Width of the tokens.
        expert_index: Expert of each hidden channel.
        num_experts: Experts a router chooses from.
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
        self.num_experts = num_experts
        self.experts_per_token = experts_per_token
        self.expand = nn.Linear(embed_dim, len(expert_index))
        self.project = nn.Linear(len(expert_index), embed_dim)
        width = len(expert_index) // num_experts
        even = [e for e in range(num_experts) for _ in range(width)]
        self._experts_are_even = list(expert_index) == even
        self.register_buffer("expert_index", torch.tensor(list(expert_index)), persistent=False)

    def mix(self, x: Tensor, logits: Tensor, channel_scale: Tensor | None = None) -> Tensor:
        """Transform tokens ``[batch, time, embed_dim]``.

        Args:
            x: Tokens.
            logits: A router's opinion of each expert, ``[batch, time, num_experts]``.
            channel_scale: Factor on each expert channel, ``[batch or 1, channels]``.

        Returns:
            ``[batch, time, embed_dim]``.
        """
        weights = routing_weights(logits, self.experts_per_token)
        hidden = F.gelu(self.expand(x))  # [batch, time, channels]
        if self._experts_are_even:
            hidden = (hidden.view(*weights.shape, -1) * weights[..., None]).flatten(2)
        else:
            # Twice as fast as an index.
            every = self.expert_index.expand(*weights.shape[:2], -1)
            hidden = hidden * weights.gather(2, every)
        return scaled_linear(self.project, hidden, channel_scale)

    def _take_channels(self, whole: Experts, channels: Tensor) -> None:
        self.expand = select_outputs(whole.expand, channels)
        self.project = select_inputs(whole.project, channels)


class MixtureOfExperts(Experts):
    """Experts with one linear router.

    Args:
        embed_dim: Width of the tokens.
        expert_index: Expert of each hidden channel.
        num_experts: Experts the router chooses from.
        experts_per_token: How many take part for one token.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        expert_index: Sequence[int],
        num_experts: int,
        experts_per_token: int,
    ) -> None:
        super().__init__(
            embed_dim=embed_dim,
            expert_index=expert_index,
            num_experts=num_experts,
            experts_per_token=experts_per_token,
        )
        self.router = nn.Linear(embed_dim, num_experts)

    def forward(self, x: Tensor, *, channel_scale: Tensor | None = None) -> Tensor:
        """Transform tokens ``[batch, time, embed_dim]``; see :meth:`mix`."""
        return self.mix(x, self.router(x), channel_scale)

    def routing(self, x: Tensor) -> Tensor:
        """Weight of each expert for each token, ``[batch, time, num_experts]``."""
        return routing_weights(self.router(x), self.experts_per_token)

    def select_channels(self, channels: Sequence[int]) -> MixtureOfExperts:
        """Return a mixture with only these expert channels; the router stays whole."""
        index = torch.tensor(channels)
        block = MixtureOfExperts(
            embed_dim=self.expand.in_features,
            expert_index=self.expert_index[index].tolist(),
            num_experts=self.num_experts,
            experts_per_token=self.experts_per_token,
        )
        block.router.load_state_dict(self.router.state_dict())
        block.router.to(self.router.weight.dtype)
        block._take_channels(self, index)
        return block


class RoutedExperts(Experts):
    """Experts with several routers, of which the caller names one for each token.

    Args:
        embed_dim: Width of the tokens.
        expert_index: Expert of each hidden channel.
        num_experts: Experts the routers choose from.
        experts_per_token: How many take part for one token.
        routers: Modules that turn tokens into ``[batch, time, num_experts]``, by name.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        expert_index: Sequence[int],
        num_experts: int,
        experts_per_token: int,
        routers: Mapping[str, nn.Module],
    ) -> None:
        super().__init__(
            embed_dim=embed_dim,
            expert_index=expert_index,
            num_experts=num_experts,
            experts_per_token=experts_per_token,
        )
        self.routers = nn.ModuleDict(dict(routers))

    def forward(self, x: Tensor, logits: Tensor, *, channel_scale: Tensor | None = None) -> Tensor:
        """Transform tokens ``[batch, time, embed_dim]``; see :meth:`mix`."""
        return self.mix(x, logits, channel_scale)

    def route(self, router: str, x: Tensor) -> Tensor:
        """What a router thinks of each expert for each token, ``[batch, time, num_experts]``."""
        logits: Tensor = self.routers[router](x)
        return logits

    def select(self, channels: Sequence[int], routers: Sequence[str]) -> RoutedExperts:
        """Return experts with only these channels and routers; the routers are shared."""
        index = torch.tensor(channels)
        block = RoutedExperts(
            embed_dim=self.expand.in_features,
            expert_index=self.expert_index[index].tolist(),
            num_experts=self.num_experts,
            experts_per_token=self.experts_per_token,
            routers={name: self.routers[name] for name in routers},
        )
        block._take_channels(self, index)
        return block


def routing_weights(logits: Tensor, experts_per_token: int) -> Tensor:
    """Weight of each expert, like ``logits``: a softmax over each token's best experts.

    The weights are scaled by the number of experts that take part, so that an even split
    leaves each expert at full strength.
    """
    if experts_per_token < logits.shape[-1]:
        worst_kept = logits.topk(experts_per_token, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < worst_kept, float("-inf"))
    return logits.softmax(dim=-1) * experts_per_token
