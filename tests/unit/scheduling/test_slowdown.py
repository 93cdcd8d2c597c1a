from __future__ import annotations

import random

import pytest

from app.scheduling import Slowdown


def after(factor: float, updates: int, seed: int = 7) -> Slowdown:
    jitter = random.Random(seed)
    estimate = Slowdown()
    for _ in range(updates):
        estimate = estimate.updated(factor * max(jitter.gauss(1.0, 0.1), 0.1))
    return estimate


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_filter_recovers_from_a_wrong_profile_in_two_dozen_updates(
    factor: float, seed: int
) -> None:
    assert after(factor, 24, seed).mean == pytest.approx(factor, rel=0.2)


def test_certainty_grows_while_the_machine_is_steady() -> None:
    assert after(1.0, 30).sigma < 0.15 < Slowdown().sigma


def test_one_hiccup_is_mostly_forgotten_after_two_ordinary_requests() -> None:
    calm = after(1.0, 30)

    shaken = calm.updated(50.0).updated(1.0).updated(1.0)

    assert shaken.mean == pytest.approx(1.0, abs=0.1)


def test_a_surprise_makes_the_estimate_less_certain() -> None:
    calm = after(1.0, 30)

    assert calm.updated(3.0).sigma > calm.sigma


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_an_observation_that_cannot_be_changes_nothing(ratio: float) -> None:
    assert Slowdown().updated(ratio) == Slowdown()
