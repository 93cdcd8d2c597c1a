"""Grouped-query attention that stays correct when heads are removed one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.nn.linear import scaled_linear, select_inputs, select_outputs

# Tokens. With so many keys, scores leave the processor's cache, and a training step of the fused
# kernel takes a quarter less time.
_FUSED_FROM = 64


class GroupedQueryAttention(nn.Module):
    """Multi-head self-attention with shared key/value heads (Ainslie et al. 2023, 2305.13245).

    Unlike there, groups may be uneven: ``kv_index`` names each query head's key/value head, so
    that any subset of heads is an ordinary layer again.

    Args:
        embed_dim: Width of the tokens.
        head_dim: Width of one head, independent of the number of heads.
        kv_index: Key/value head of each query head, ascending from 0 without gaps.
    """

    kv_index: Tensor

    def __init__(self, *, embed_dim: int, head_dim: int, kv_index: Sequence[int]) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.num_heads = len(kv_index)
        self.num_kv_heads = max(kv_index) + 1
        width, kv_width = self.num_heads * head_dim, self.num_kv_heads * head_dim
        self.query = nn.Linear(embed_dim, width)
        self.key = nn.Linear(embed_dim, kv_width)
        self.value = nn.Linear(embed_dim, kv_width)
        self.output = nn.Linear(width, embed_dim)
        heads_per_group = self.num_heads // self.num_kv_heads
        self._groups_are_even = list(kv_index) == [
            h // heads_per_group for h in range(len(kv_index))
        ]
        self.register_buffer("kv_index", torch.tensor(list(kv_index)), persistent=False)

    def forward(self, x: Tensor, *, head_scale: Tensor | None = None) -> Tensor:
        """Attend over one token sequence (Vaswani et al. 2017, Eq. 1).

        Args:
            x: Tokens, ``[batch, time, embed_dim]``.
            head_scale: Factor on each query head's output, ``[batch or 1, num_heads]``.

        Returns:
            ``[batch, time, embed_dim]``.
        """
        q = self._split(self.query(x))  # [batch, heads, time, head_dim]
        k = self._split(self.key(x))  # [batch, kv heads, time, head_dim]
        v = self._split(self.value(x))
        return self._merge(self.attend(q, k, v), head_scale)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Scaled dot-product attention.

        Args:
            q: Queries, ``[batch, heads, queries, head_dim]``.
            k: Keys, ``[batch, kv heads, time, head_dim]``.
            v: Values, like ``k``.

        Returns:
            Head outputs, like ``q``.
        """
        if not self._groups_are_even:
            return dot_product_attention(
                q, k.index_select(1, self.kv_index), v.index_select(1, self.kv_index)
            )
        # Heads of a group stand behind one another in time: keys and values are not copied.
        grouped = q.reshape(k.shape[0], k.shape[1], -1, self.head_dim)
        return dot_product_attention(grouped, k, v).view_as(q)

    def select_heads(self, heads: Sequence[int]) -> Self:
        """Return a layer with only these query heads, and the key/value heads they read.

        Equal to scaling the other heads to zero. The order of ``heads`` is kept.

        Raises:
            ValueError: ``heads`` is empty.
        """
        if not heads:
            raise ValueError("an attention layer keeps at least one head")
        old_kv = [int(self.kv_index[h]) for h in heads]
        groups = sorted(set(old_kv))
        layer = self._shrunk([groups.index(g) for g in old_kv])
        q_rows, kv_rows = self._rows(heads), self._rows(groups)
        layer.query = select_outputs(self.query, q_rows)
        layer.key = select_outputs(self.key, kv_rows)
        layer.value = select_outputs(self.value, kv_rows)
        layer.output = select_inputs(self.output, q_rows)
        return layer

    def _shrunk(self, kv_index: list[int]) -> Self:
        return type(self)(
            embed_dim=self.query.in_features, head_dim=self.head_dim, kv_index=kv_index
        )

    def _rows(self, heads: Sequence[int]) -> Tensor:
        base = torch.tensor(heads)[:, None] * self.head_dim
        return (base + torch.arange(self.head_dim)).flatten()

    def _split(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        return x.view(batch, time, -1, self.head_dim).transpose(1, 2)

    def _merge(self, heads: Tensor, head_scale: Tensor | None) -> Tensor:
        """Scale and project ``[batch, heads, time, head_dim]``."""
        if head_scale is not None and len(head_scale) > 1:
            heads = heads * head_scale[:, :, None, None]
            head_scale = None
        merged = heads.transpose(1, 2).flatten(2)  # [batch, time, heads * head_dim]
        if head_scale is not None:
            head_scale = head_scale.repeat_interleave(self.head_dim, dim=1)
        return scaled_linear(self.output, merged, head_scale)


def dot_product_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v, written out where sequences are short.

    At the few dozen tokens we mostly train on, this is faster on a CPU than the fused kernel, and
    every product is visible to a FLOP counter. Scores are laid out key by query, since a softmax
    along rows of a few numbers takes several times as long as one along columns.
    """
    if q.requires_grad and k.shape[-2] >= _FUSED_FROM:
        return F.scaled_dot_product_attention(q, k, v)
    scores = k @ (q / math.sqrt(q.shape[-1])).transpose(-2, -1)  # [..., time, queries]
    return scores.softmax(dim=-2).transpose(-2, -1) @ v
