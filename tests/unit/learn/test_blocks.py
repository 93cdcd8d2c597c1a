from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the blocks need torch (extra: train)")

from sentryfuse.learn.nn import (  # noqa: E402
    FeedForward,
    GroupedQueryAttention,
    MixtureOfExperts,
    PairMerge,
    PatchEmbedding,
    SentryAttend,
    SharedSentryAttend,
)
from sentryfuse.learn.nn.running_norm import RunningNorm  # noqa: E402
from sentryfuse.learn.nn.sentry_attend import key_sample  # noqa: E402
from sentryfuse.learn.nn.statistics import step_features, summarise  # noqa: E402

PLAIN = ("mean", "deviation", "minimum", "maximum")
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tokens(time: int = 7, width: int = 16) -> torch.Tensor:
    return torch.randn(3, time, width, dtype=torch.float64)


def sparse(
    kv_index: list[int], sparse_from: int, form: type[SentryAttend] = SentryAttend
) -> SentryAttend:
    layer = form(
        embed_dim=16, head_dim=8, kv_index=kv_index, sparse_factor=2, sparse_from=sparse_from
    )
    return layer.double()


def _graph(x: torch.Tensor) -> str:
    """Names of the steps by which ``x`` came about."""
    names, left = [], [x.grad_fn]
    while left:
        step = left.pop()
        if step is not None:
            names.append(step.name())
            left += [before for before, _ in step.next_functions]
    return " ".join(names)


@pytest.mark.parametrize("heads", [[0, 2, 3], [1], [2, 3], [0, 1, 2, 3]])
def test_removing_heads_equals_scaling_them_to_zero(heads: list[int]) -> None:
    attention = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1]).double()
    x = tokens()
    scale = torch.zeros(1, 4, dtype=torch.float64)
    scale[:, heads] = 1.0

    pruned = attention.select_heads(heads)

    torch.testing.assert_close(pruned(x), attention(x, head_scale=scale), **EXACT)


def test_a_group_without_heads_takes_its_key_and_value_along() -> None:
    attention = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1])
    assert attention.select_heads([2, 3]).num_kv_heads == 1


def test_an_attention_layer_keeps_a_head() -> None:
    attention = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0])
    with pytest.raises(ValueError, match="at least one head"):
        attention.select_heads([])


def test_grouped_attention_equals_the_library_kernel() -> None:
    q, k, v = (torch.randn(2, 4, 9, 8, dtype=torch.float64) for _ in range(3))
    attention = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1])
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attention.attend(q, k, v), expected, **EXACT)


def test_long_windows_in_training_get_the_same_answers_from_another_kernel() -> None:
    attention = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1]).double()
    x = tokens(time=70)
    trained = attention(x)
    with torch.inference_mode():
        asked = attention(x)
    assert "ScaledDotProduct" in _graph(trained)
    torch.testing.assert_close(trained.detach(), asked.clone(), **EXACT)


@pytest.mark.parametrize("form", [SentryAttend, SharedSentryAttend])
def test_a_short_sequence_attends_densely(form: type[SentryAttend]) -> None:
    layer, x = sparse([0, 0, 1, 1], 8, form), tokens(time=7)
    dense = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1]).double()
    dense.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), dense(x), **EXACT)


def test_sparse_attention_gives_the_mean_value_to_queries_that_do_not_attend() -> None:
    layer = sparse([0], sparse_from=1)
    q, k, v = (torch.randn(1, 1, 20, 8, dtype=torch.float64) for _ in range(3))
    out = layer.attend(q, k, v)[0, 0]
    mean = v[0, 0].mean(dim=0)
    attending = (out - mean).abs().amax(dim=1) > 1e-9
    assert int(attending.sum()) == 2 * 3  # c * ceil(ln 20)


def test_sparse_attention_chooses_the_sharpest_queries() -> None:
    layer = sparse([0], sparse_from=1)
    q, k, v = (torch.randn(1, 1, 20, 8, dtype=torch.float64) for _ in range(3))
    q[0, 0, 13] *= 50
    dense = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0]).attend(q, k, v)
    torch.testing.assert_close(layer.attend(q, k, v)[0, 0, 13], dense[0, 0, 13], **EXACT)


@pytest.mark.parametrize("form", [SentryAttend, SharedSentryAttend])
def test_sparse_attention_gives_equal_answers_to_equal_inputs(form: type[SentryAttend]) -> None:
    layer, x = sparse([0, 0, 1, 1], 1, form), tokens(time=40)
    torch.testing.assert_close(layer(x), layer(x), rtol=0, atol=0)


@pytest.mark.parametrize("form", [SentryAttend, SharedSentryAttend])
@pytest.mark.parametrize("heads", [[0, 3], [2, 3], [1]])
def test_removing_heads_is_exact_in_the_sparse_forms_too(
    form: type[SentryAttend], heads: list[int]
) -> None:
    layer, x = sparse([0, 0, 1, 1], 1, form), tokens(time=40)
    scale = torch.zeros(1, 4, dtype=torch.float64)
    scale[:, heads] = 1.0
    torch.testing.assert_close(layer.select_heads(heads)(x), layer(x, head_scale=scale), **EXACT)


def test_a_scale_for_each_window_acts_on_that_window_alone() -> None:
    layer, x = sparse([0, 0, 1, 1], 1, SharedSentryAttend), tokens(time=40)
    scale = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=torch.float64)
    rows = [layer(x[i : i + 1], head_scale=scale[i : i + 1]) for i in range(len(x))]
    torch.testing.assert_close(layer(x, head_scale=scale), torch.cat(rows), **EXACT)


def test_a_shared_choice_lets_the_tokens_attend_whose_keys_stand_out() -> None:
    layer, x = sparse([0, 0, 1, 1], 1, SharedSentryAttend), tokens(time=40)
    dense = GroupedQueryAttention(embed_dim=16, head_dim=8, kv_index=[0, 0, 1, 1]).double()
    dense.load_state_dict(layer.state_dict())
    with torch.no_grad():
        x[:, 13] *= 30
        mean = layer.output(layer.value(x).mean(1).view(3, 2, 8)[:, [0, 0, 1, 1]].flatten(1))
        out = layer(x)
        torch.testing.assert_close(out[:, 13], dense(x)[:, 13], **EXACT)
    attending = (out - mean[:, None]).abs().amax(dim=-1) > 1e-9
    assert attending.sum(dim=1).tolist() == [2 * 4] * 3  # c * ceil(ln 40)


def test_sampled_keys_are_spread_over_the_sequence() -> None:
    assert key_sample(20, 5).tolist() == [0, 4, 8, 12, 16]


def test_removing_channels_equals_scaling_them_to_zero() -> None:
    block, x = FeedForward(embed_dim=16, hidden_dim=6).double(), tokens()
    scale = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    pruned = block.select_channels([0, 2, 3])
    torch.testing.assert_close(pruned(x), block(x, channel_scale=scale), **EXACT)


@pytest.mark.parametrize("experts_per_token", [1, 2, 3])
def test_removing_expert_channels_equals_scaling_them_to_zero(experts_per_token: int) -> None:
    block = MixtureOfExperts(
        embed_dim=16,
        expert_index=[0, 0, 1, 1, 2, 2],
        num_experts=3,
        experts_per_token=experts_per_token,
    ).double()
    x = tokens()
    scale = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    pruned = block.select_channels([0, 4, 5])
    torch.testing.assert_close(pruned(x), block(x, channel_scale=scale), **EXACT)


def test_only_the_best_experts_of_a_token_take_part() -> None:
    block = MixtureOfExperts(
        embed_dim=16, expert_index=[0, 1, 2], num_experts=3, experts_per_token=2
    ).double()
    weights = block.routing(tokens())
    assert ((weights > 0).sum(dim=-1) == 2).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.full((3, 7), 2.0, dtype=torch.float64))


def test_the_last_patch_is_padded_with_zeros() -> None:
    embed = PatchEmbedding(length=7, channels=2, patch_length=3, embed_dim=4)
    x = torch.randn(1, 7, 2)
    padded = torch.cat([x, torch.zeros(1, 2, 2)], dim=1).reshape(1, 3, 6)
    torch.testing.assert_close(embed(x), embed.project(padded) + embed.position)


def test_the_summary_token_comes_last_and_ignores_order_in_time() -> None:
    embed = PatchEmbedding(length=8, channels=2, patch_length=4, embed_dim=4, statistics=PLAIN)
    x = torch.randn(1, 8, 2)
    shuffled = x[:, torch.randperm(8)]
    torch.testing.assert_close(embed(x)[:, 2], embed(shuffled)[:, 2])
    assert embed(x).shape == (1, 3, 4)


def test_statistics_are_mean_deviation_minimum_and_maximum() -> None:
    x = torch.tensor([[[1.0], [3.0]]])
    torch.testing.assert_close(summarise(x, None, PLAIN), torch.tensor([[2.0, 1.0, 1.0, 3.0]]))


def test_statistics_are_those_of_the_measured_values() -> None:
    x, names = torch.tensor([[[1.0], [0.0], [3.0], [0.0]]]), (*PLAIN, "share")
    known = torch.tensor([[[True], [False], [True], [False]]])
    torch.testing.assert_close(
        summarise(x, known, names), torch.tensor([[2.0, 1.0, 1.0, 3.0, 0.5]])
    )
    nothing = summarise(torch.zeros_like(x), torch.zeros_like(known), names)
    torch.testing.assert_close(nothing, torch.tensor([[0.0, 1e-3, 0.0, 0.0, 0.0]]))


def test_a_history_is_the_last_measured_value_and_whether_there_is_any() -> None:
    x = torch.tensor([[[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [3.0, -1.0, 0.0], [0.0, 5.0, 0.0]]])
    known = torch.tensor([[[True, True, False], [False] * 3, [True, True, False], [False] * 3]])
    known[0, 3, 1] = True
    torch.testing.assert_close(
        summarise(x, known, ("last", "ever")), torch.tensor([[3.0, 5.0, 0.0, 1.0, 1.0, 0.0]])
    )


def test_a_value_that_is_the_mean_differs_from_one_not_measured() -> None:
    embed = PatchEmbedding(length=2, channels=1, patch_length=2, embed_dim=4, gaps=True)
    measured, missing = torch.tensor([[[1.0], [0.0]], [[1.0], [torch.nan]]]).split(1)
    assert embed(missing).isfinite().all()
    assert not torch.allclose(embed(measured), embed(missing))


def test_a_step_is_its_mean_and_the_logarithms_of_deviation_and_change() -> None:
    x = torch.tensor([[[1.0], [3.0], [10.0], [10.0], [7.0]]])  # the last fills no step
    features = step_features(x, step_length=2)
    expected = [[[2.0, 0.0, 2.0], [10.0, 1e-3, 1e-3]]]
    torch.testing.assert_close(features[..., :1], torch.tensor(expected)[..., :1])
    torch.testing.assert_close(features[..., 1].exp(), torch.tensor([[1.0, 1e-3]]))
    torch.testing.assert_close(features[..., 2].exp(), torch.tensor([[2.0 + 1e-3, 1e-3]]))


def test_steps_come_to_one_scale_in_training_and_keep_it() -> None:
    embed = PatchEmbedding(length=40, channels=1, patch_length=2, embed_dim=4, step_length=4)
    x = 1e-2 * torch.randn(64, 40, 1)
    for _ in range(200):
        embed(x)
    norm = embed.eval().step_norm
    assert norm is not None
    features = norm(step_features(x, 4))
    torch.testing.assert_close(features.mean(dim=(0, 1)), torch.zeros(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(features.std(dim=(0, 1))[1:], torch.ones(2), atol=1e-2, rtol=0)


def test_a_feature_counts_as_no_further_from_its_mean_than_the_limit() -> None:
    norm = RunningNorm(2, limit=3.0).eval()
    x = torch.tensor([[0.5, 40.0], [-40.0, -1.0]])
    torch.testing.assert_close(norm(x), torch.tensor([[0.5, 3.0], [-3.0, -1.0]]), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("time", "merged"), [(6, 3), (7, 4), (1, 1)])
def test_pair_merge_halves_the_tokens_rounding_up(time: int, merged: int) -> None:
    assert PairMerge(embed_dim=16)(torch.randn(2, time, 16)).shape == (2, merged, 16)
