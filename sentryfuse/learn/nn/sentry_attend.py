"""SentryAttend: sparse grouped-query attention, where only the most telling queries attend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sentryfuse.learn.nn.attention import GroupedQueryAttention, dot_product_attention


class SentryAttend(GroupedQueryAttention):
    """Top-u query selection on grouped-query attention (SentryFuse, arXiv 2604.08971).

    Each head keeps the u queries with the largest max-minus-mean score over a sample of keys
    (ProbSparse, Zhou et al. 2021, Eq. 4); the others receive the mean value. Unlike there, the
    sample is u evenly spaced keys and not a random draw, so that equal inputs give equal
    outputs. Sequences shorter than ``sparse_from`` attend densely: below it, the selection
    costs more time than it saves.

    Args:
        embed_dim: Width of the tokens.
        head_dim: Width of one head.
        kv_index: Key/value head of each query head.
        sparse_factor: c in ``u = min(c * ceil(ln L), L)``.
        sparse_from: Smallest number of tokens L handled sparsely.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        head_dim: int,
        kv_index: Sequence[int],
        sparse_factor: int,
        sparse_from: int,
    ) -> None:
        super().__init__(embed_dim=embed_dim, head_dim=head_dim, kv_index=kv_index)
        self.sparse_factor = sparse_factor
        self.sparse_from = sparse_from

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend with the top u queries of each head; shapes as in the dense form."""
        time = q.shape[2]
        active = self._active_queries(time)
        if active >= time:
            return super().attend(q, k, v)
        k, v = k.index_select(1, self.kv_index), v.index_select(1, self.kv_index)
        probe = q @ k[:, :, key_sample(time, active)].transpose(-2, -1)  # [batch, heads, time, u]
        sharpness = probe.amax(dim=-1) - probe.mean(dim=-1)
        top = sharpness.topk(active, dim=-1).indices[..., None].expand(-1, -1, -1, q.shape[-1])
        selected = dot_product_attention(q.gather(2, top), k, v)
        return v.mean(dim=2, keepdim=True).expand_as(q).scatter(2, top, selected)

    def _active_queries(self, time: int) -> int:
        if time < self.sparse_from:
            return time
        return min(self.sparse_factor * math.ceil(math.log(time)), time)

    def _shrunk(self, kv_index: list[int]) -> Self:
        return type(self)(
            embed_dim=self.query.in_features,
            head_dim=self.head_dim,
            kv_index=kv_index,
            sparse_factor=self.sparse_factor,
            sparse_from=self.sparse_from,
        )


class SharedSentryAttend(SentryAttend):
    """The same with one choice for all heads: u tokens attend with every head.

    A token is chosen for how far its keys lie from the mean key, summed over the key/value
    heads: such tokens stand out from their window. No query is needed to choose, so queries are
    computed for the chosen tokens alone, and outputs for these and for the mean value. Heads
    that are scaled to zero have no say, so that removing them changes nothing.
    """

    def forward(self, x: Tensor, *, head_scale: Tensor | None = None) -> Tensor:
        """Attend over one token sequence; arguments and result as in the dense form."""
        time = x.shape[1]
        active = self._active_queries(time)
        if active >= time:
            return super().forward(x, head_scale=head_scale)
        k, v = self._split(self.key(x)), self._split(self.value(x))
        top = self._outstanding(k.detach(), head_scale, active)[..., None]  # [batch, u, 1]
        q = self._split(self.query(x.gather(1, top.expand(-1, -1, x.shape[-1]))))
        chosen = GroupedQueryAttention.attend(self, q, k, v)  # [batch, heads, u, head_dim]
        mean = v.mean(dim=2, keepdim=True)[:, self.kv_index]  # [batch, heads, 1, head_dim]
        out = self._merge(torch.cat([chosen, mean], dim=2), head_scale)  # [batch, u + 1, embed_dim]
        width = out.shape[-1]
        rest = out[:, -1:].expand(-1, time, -1)
        return rest.scatter(1, top.expand(-1, -1, width), out[:, :-1])

    def _outstanding(self, k: Tensor, head_scale: Tensor | None, count: int) -> Tensor:
        """Which tokens have the keys farthest from the mean, ``[batch, count]``."""
        distance = (k - k.mean(dim=2, keepdim=True)).square().sum(dim=-1)  # [batch, kv, time]
        if head_scale is not None:
            alive = (head_scale.detach() != 0).to(k.dtype)
            groups = alive.new_zeros(len(alive), self.num_kv_heads)
            read = groups.index_add(1, self.kv_index, alive) > 0
            distance = distance * read[:, :, None]
        return distance.sum(dim=1).topk(count, dim=-1).indices


def key_sample(time: int, count: int) -> Tensor:
    """Indices of ``count`` evenly spaced keys out of ``time``: floor(i * time / count)."""
    return torch.arange(count) * time // count
