from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the blocks need torch (extra: train)")

from sentryfuse.learn.nn import (  # noqa: E402
    LaplaceRouter,
    MissingBank,
    balance_loss,
    entropy_loss,
)
from sentryfuse.learn.nn.mixture import routing_weights  # noqa: E402

EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def logits(experts: int = 4, time: int = 9) -> torch.Tensor:
    return torch.randn(3, time, experts, dtype=torch.float64)


def test_a_laplace_router_measures_the_distance_to_its_prototypes() -> None:
    router = LaplaceRouter(embed_dim=16, num_experts=4).double()
    x = torch.randn(3, 7, 16, dtype=torch.float64)
    expected = -torch.cdist(x, router.prototypes.expand(3, -1, -1))
    torch.testing.assert_close(router(x), expected, rtol=0, atol=1e-9)


def test_a_token_on_a_prototype_has_a_finite_gradient() -> None:
    router = LaplaceRouter(embed_dim=16, num_experts=4)
    router(router.prototypes.detach()[None]).sum().backward()
    assert router.prototypes.grad.isfinite().all()


def test_routing_weights_are_a_softmax_over_the_best_experts() -> None:
    x = logits()
    weights = routing_weights(x, 2)
    best = x.topk(2, dim=-1)
    expected = torch.zeros_like(x).scatter(-1, best.indices, 2 * best.values.softmax(dim=-1))
    torch.testing.assert_close(weights, expected, **EXACT)


def test_balance_is_perfect_when_every_expert_gets_the_same_tokens() -> None:
    turns = 10 * torch.eye(4, dtype=torch.float64).repeat(1, 2, 1)
    assert balance_loss(turns, 1).item() == pytest.approx(0.0, abs=1e-12)
    assert balance_loss(turns, 4).item() == pytest.approx(0.0, abs=1e-12)


def test_balance_is_worst_when_one_expert_gets_all_tokens() -> None:
    one_for_all = torch.zeros(1, 8, 4, dtype=torch.float64)
    one_for_all[..., 2] = 50.0
    # importance (0, 0, 8, 0): variance 16, mean 2; the load likewise
    assert balance_loss(one_for_all, 1).item() == pytest.approx(4.0 + 4.0)


def test_a_single_expert_needs_no_balance() -> None:
    assert balance_loss(logits(experts=1), 1) == 0


def test_the_load_counts_how_likely_an_expert_is_chosen() -> None:
    x = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64)
    weights_only = balance_loss(x, 2)  # both experts always take part: no load to balance
    chosen = torch.special.ndtr(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    importance = torch.tensor([0.0, 1.0], dtype=torch.float64)
    expected = sum(v.var() / v.mean() ** 2 for v in (importance, chosen))
    torch.testing.assert_close(balance_loss(x, 1), expected, **EXACT)
    assert weights_only < balance_loss(x, 1)


def test_following_the_balance_loss_evens_out_the_use_of_experts() -> None:
    x = (logits() + torch.tensor([3.0, 0.0, 0.0, 0.0])).requires_grad_()
    before = balance_loss(x, 2)
    (gradient,) = torch.autograd.grad(before, x)
    assert gradient.isfinite().all()
    assert balance_loss(x - gradient, 2) < before


def test_entropy_is_least_when_each_modality_has_experts_of_its_own() -> None:
    own = [50 * torch.eye(4)[e].expand(2, 3, 4) for e in range(4)]
    assert entropy_loss(own).item() == pytest.approx(-math.log(4), abs=1e-5)


def test_entropy_is_zero_for_a_single_modality_and_where_all_do_the_same() -> None:
    x = logits()
    assert entropy_loss([x]).item() == pytest.approx(0.0, abs=1e-12)
    assert entropy_loss([x, x, x]).item() == pytest.approx(0.0, abs=1e-12)


def bank(modalities: int = 5) -> MissingBank:
    return MissingBank(num_modalities=modalities, rank=3, tokens=2, embed_dim=8)


def test_a_bank_speaks_for_the_absent_modalities_in_order() -> None:
    whole = bank()
    tokens = whole([0, 3])
    assert tokens.shape == (3 * 2, 8)
    weights = whole.observed[[0, 3]].mean(dim=0)
    expected = (weights[:, None, None] * whole.missing[4]).sum(dim=0)
    torch.testing.assert_close(tokens[-2:], expected)


def test_what_stands_in_for_a_modality_depends_on_what_is_observed() -> None:
    whole = bank()
    assert not torch.allclose(whole([0])[-2:], whole([1])[-2:])


def test_a_bank_has_nothing_to_say_to_a_complete_sample() -> None:
    assert bank()(range(5)).shape == (0, 8)


def test_a_selected_bank_says_the_same_with_less() -> None:
    whole = bank()
    fixed = whole.select([1, 2, 3])
    torch.testing.assert_close(fixed([1, 2, 3]), whole([1, 2, 3]))
    assert sum(p.numel() for p in fixed.parameters()) == 2 * 2 * 8


def test_the_bank_of_ten_modalities_grows_with_their_number_only() -> None:
    sizes = [sum(p.numel() for p in bank(m).parameters()) for m in (5, 10)]
    combinations = 2**10 - 1
    assert sizes[1] == 2 * sizes[0] == 10 * (3 + 3 * 2 * 8)
    assert sizes[1] < combinations * 10 * 2 * 8 / 300  # Flex-MoE: one entry for each pair
