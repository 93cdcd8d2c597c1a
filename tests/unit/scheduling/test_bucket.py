from __future__ import annotations

import math

import pytest

from app.scheduling.bucket import EnergyBucket


def bucket(**changes: float) -> EnergyBucket:
    """Refills 2 J/s, holds 1 J, owes up to 3 J; full at time 0 unless said otherwise."""
    return EnergyBucket(**{"rate_w": 2.0, "capacity_j": 1.0, "debt_j": 3.0, "now_s": 0.0} | changes)


def test_it_starts_full_and_never_holds_more() -> None:
    assert bucket().tokens_j(0.0) == bucket().tokens_j(100.0) == 1.0


def test_what_was_spent_comes_back_at_the_rate() -> None:
    full = bucket()
    full.spend(1.0, 0.0)

    assert full.tokens_j(0.25) == 0.5


def test_spending_more_than_it_holds_is_refused_and_changes_nothing() -> None:
    full = bucket()

    with pytest.raises(ValueError, match=r"from 0 to the 1.0 J held, got 1.5"):
        full.spend(1.5, 0.0)

    assert full.tokens_j(0.0) == 1.0


@pytest.mark.parametrize("energy_j", [-0.1, float("nan"), float("inf")])
def test_an_energy_that_makes_no_sense_is_refused(energy_j: float) -> None:
    with pytest.raises(ValueError, match="energy_j"):
        bucket().spend(energy_j, 0.0)


def test_a_prediction_too_high_is_given_back() -> None:
    full = bucket()
    full.spend(0.8, 0.0)
    full.settle(0.8, 0.5, 0.0)

    assert full.tokens_j(0.0) == pytest.approx(0.5)


def test_a_prediction_too_low_becomes_a_debt_that_is_paid_first() -> None:
    full = bucket()
    full.spend(1.0, 0.0)
    full.settle(1.0, 2.0, 0.0)

    assert full.tokens_j(0.0) == -1.0
    assert not full.affords(0.1, 0.5)
    assert full.affords(0.1, 0.55)


def test_what_the_debt_has_no_room_for_is_counted_as_overrun() -> None:
    full = bucket()
    full.spend(1.0, 0.0)
    full.settle(1.0, 6.0, 0.0)

    assert (full.tokens_j(0.0), full.overrun_j) == (-3.0, 2.0)


def test_the_wait_is_what_the_missing_joules_take() -> None:
    full = bucket()
    full.spend(1.0, 0.0)

    assert full.affordable_in_s(0.5, 0.0) == pytest.approx(0.25, abs=1e-5)
    assert full.affordable_in_s(0.0, 0.0) == 0.0


def test_what_it_can_never_hold_or_never_gets_is_never_affordable() -> None:
    dry = bucket(rate_w=0.0)
    dry.spend(1.0, 0.0)

    assert bucket().affordable_in_s(1.1, 0.0) == math.inf
    assert dry.affordable_in_s(0.1, 0.0) == math.inf


def test_a_full_bucket_lends_and_another_does_not() -> None:
    full = bucket()
    full.borrow(2.5, 0.0)

    assert full.tokens_j(0.0) == -1.5
    with pytest.raises(ValueError, match="only a full bucket lends"):
        full.borrow(2.5, 1.0)


def test_nothing_is_lent_beyond_the_debt() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 4.0 J, got 4.5"):
        bucket().borrow(4.5, 0.0)


def test_a_new_rate_counts_from_its_moment() -> None:
    full = bucket()
    full.spend(1.0, 0.0)
    full.set_rate(1.0, 0.25)

    assert full.tokens_j(0.5) == 0.75


def test_a_smaller_bucket_loses_what_it_can_not_hold() -> None:
    full = bucket()
    full.resize(0.4, 3.0, 0.0)

    assert full.tokens_j(0.0) == 0.4


def test_a_smaller_debt_turns_what_was_owed_beyond_it_into_overrun() -> None:
    owing = bucket()
    owing.borrow(3.0, 0.0)
    owing.resize(1.0, 0.5, 0.0)

    assert (owing.tokens_j(0.0), owing.overrun_j) == (-0.5, 1.5)


def test_a_clock_that_steps_back_changes_nothing() -> None:
    full = bucket(now_s=10.0)
    full.spend(1.0, 10.0)

    assert full.tokens_j(9.0) == 0.0
    assert full.tokens_j(10.25) == 0.5


def test_refill_is_wasted_only_while_the_bucket_is_full() -> None:
    full = bucket()
    full.spend(1.0, 0.0)
    full.tokens_j(0.5)
    assert full.wasted_j == 0.0

    full.tokens_j(1.0)
    assert full.wasted_j == 1.0


@pytest.mark.parametrize("name", ["rate_w", "capacity_j", "debt_j"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_size_that_makes_no_sense_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be finite and at least 0"):
        bucket(**{name: value})
