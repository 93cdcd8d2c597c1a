import pytest
import torch

from sentryfuse.learn.nn import (
    FeedForward,
    GroupedQueryAttention,
    LaplaceRouter,
    MixtureOfExperts,
    RoutedExperts,
    SentryAttend,
    SharedSentryAttend,
)

DTYPE = torch.float64


def _tokens(time: int) -> torch.Tensor:
    return torch.randn(3, time, 16, dtype=DTYPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("keep", [[0, 2, 3], [0, 1], [3]])
def test_removing_heads_equals_scaling_them_to_zero(keep: list[int]) -> None:
    attention = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1]).to(DTYPE)
    x = _tokens(7)
    scale = torch.zeros(1, 4, dtype=DTYPE).index_fill(1, torch.tensor(keep), 1.0)

    pruned = attention.select_heads(keep)

    torch.testing.assert_close(pruned(x), attention(x, head_scale=scale), rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", [SentryAttend, SharedSentryAttend])
@pytest.mark.parametrize("keep", [[0, 2, 3], [1]])
def test_removing_heads_of_a_sparse_layer_equals_scaling_them_to_zero(
    form: type[SentryAttend], keep: list[int]
) -> None:
    attention = form(
        embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1], sparse_factor=1, sparse_from=8
    ).to(DTYPE)
    x = _tokens(20)
    scale = torch.zeros(1, 4, dtype=DTYPE).index_fill(1, torch.tensor(keep), 1.0)

    pruned = attention.select_heads(keep)

    torch.testing.assert_close(pruned(x), attention(x, head_scale=scale), rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", [SentryAttend, SharedSentryAttend])
def test_a_sparse_layer_that_keeps_every_query_is_dense(form: type[SentryAttend]) -> None:
    shape = {"embed_dim": 16, "head_dim": 8, "kv_index": [0, 0, 1]}
    sparse = form(**shape, sparse_factor=20, sparse_from=2).to(DTYPE)
    dense = GroupedQueryAttention(**shape).to(DTYPE)
    dense.load_state_dict(sparse.state_dict())
    x = _tokens(20)

    torch.testing.assert_close(sparse(x), dense(x), rtol=0, atol=1e-12)


def test_removing_channels_equals_scaling_them_to_zero() -> None:
    block = FeedForward(embed_dim=16, hidden_dim=6).to(DTYPE)
    x = _tokens(7)
    scale = torch.tensor([[1.0, 0, 0, 1, 1, 0]], dtype=DTYPE)

    pruned = block.select_channels([0, 3, 4])

    torch.testing.assert_close(pruned(x), block(x, channel_scale=scale), rtol=0, atol=1e-12)


@pytest.mark.parametrize("experts_per_token", [1, 2, 3])
def test_removing_expert_channels_equals_scaling_them_to_zero(experts_per_token: int) -> None:
    mixture = MixtureOfExperts(
        embed_dim=16,
        expert_index=[0, 0, 1, 1, 2, 2],
        num_experts=3,
        experts_per_token=experts_per_token,
    ).to(DTYPE)
    x = _tokens(7)
    scale = torch.tensor([[1.0, 0, 0, 0, 1, 1]], dtype=DTYPE)  # the second expert loses all

    pruned = mixture.select_channels([0, 4, 5])

    torch.testing.assert_close(pruned(x), mixture(x, channel_scale=scale), rtol=0, atol=1e-12)


def test_removing_channels_and_idle_routers_equals_scaling_to_zero() -> None:
    experts = RoutedExperts(
        embed_dim=16,
        expert_index=[0, 0, 1, 1, 2, 2],
        num_experts=3,
        experts_per_token=2,
        routers={name: LaplaceRouter(embed_dim=16, num_experts=3) for name in ("near", "far")},
    ).to(DTYPE)
    x = _tokens(7)
    scale = torch.tensor([[0.0, 1, 0, 0, 1, 1]], dtype=DTYPE)  # the second expert loses all
    expected = experts(x, experts.route("far", x), channel_scale=scale)

    pruned = experts.select([1, 4, 5], ["far"])

    torch.testing.assert_close(pruned(x, pruned.route("far", x)), expected, rtol=0, atol=1e-12)
    assert list(pruned.routers) == ["far"]
