from __future__ import annotations

import math

import pytest

from app.scheduling.power_gate import PowerGate


def gate(cap_w: float | None = 9.0) -> PowerGate:
    return PowerGate(cap_w=cap_w, idle_power_w=3.0, now_s=0.0)


def joules_within(made: PowerGate, energy_j: float, since_s: float, until_s: float) -> float:
    """What a greedy caller gets through who tries every millisecond."""
    spent_j = 0.0
    for tick in range(round(since_s * 1000), round(until_s * 1000)):
        while made.admits(energy_j, tick / 1000):
            made.spend(energy_j, tick / 1000)
            spent_j += energy_j
    return spent_j


def test_without_a_cap_everything_is_affordable_and_nothing_is_counted() -> None:
    free = gate(None)
    free.spend(1e9, 0.0)

    assert free.admits(1e9, 0.0)
    assert free.wait_s(1e9, 0.0) == 0.0
    assert free.allowance_j(100.0, 5, 1.0, 0.0) == math.inf


def test_a_greedy_caller_gets_what_the_cap_leaves_above_idle() -> None:
    assert joules_within(gate(), 0.02, 0.0, 10.0) / 10 == pytest.approx(6.0, rel=0.03)


def test_a_lone_request_may_cost_all_that_the_cap_allows_in_a_second() -> None:
    lone = gate()

    assert lone.admits(6.0, 100.0)
    assert not lone.admits(6.001, 100.0)
    assert lone.wait_s(6.001, 100.0) == math.inf


def test_the_least_cap_for_an_energy_is_just_enough_for_it() -> None:
    energy_j = 0.1 + 0.2  # a sum that floats don't hold exactly
    least_w = gate().least_cap_w(energy_j)

    assert gate(least_w).admits(energy_j, 0.0)
    assert not gate(math.nextafter(least_w, 0.0)).admits(energy_j, 0.0)


def test_a_dear_request_is_paid_back_before_anything_else_is_admitted() -> None:
    lone = gate()
    lone.spend(3.0, 0.0)

    assert not lone.admits(0.001, 0.4)
    assert lone.admits(0.001, 0.6)


def test_a_dear_request_waits_until_the_last_second_has_room_for_it() -> None:
    busy = gate()
    joules_within(busy, 0.02, 0.0, 1.0)

    assert not busy.admits(3.0, 1.06)
    assert busy.admits(3.0, 1.06 + busy.wait_s(3.0, 1.06))


def test_spending_what_is_not_admitted_is_an_error() -> None:
    busy = gate()
    busy.spend(6.0, 0.0)

    with pytest.raises(ValueError, match="energy_j"):
        busy.spend(6.0, 0.5)
    with pytest.raises(ValueError, match="energy_j"):
        busy.spend(0.01, 0.5)


def test_a_cap_at_or_below_idle_admits_nothing() -> None:
    closed = gate(3.0)

    assert not closed.admits(0.001, 100.0)
    assert closed.wait_s(0.001, 100.0) == math.inf
    assert closed.allowance_j(1.0, 1, 1.0, 100.0) == 0.0


def test_a_step_down_takes_effect_at_once() -> None:
    stepped = gate(9.0)
    stepped.set_cap(4.0, 100.0)

    assert stepped.cap_w == 4.0
    assert joules_within(stepped, 0.005, 100.0, 101.0) == pytest.approx(1.0, rel=0.06)
    assert not stepped.admits(1.5, 200.0)


def test_a_step_up_takes_effect_at_once() -> None:
    stepped = gate(4.0)
    joules_within(stepped, 0.005, 0.0, 1.0)
    stepped.set_cap(9.0, 1.0)

    assert joules_within(stepped, 0.005, 1.0, 2.0) == pytest.approx(6.0, rel=0.05)


def test_a_cap_set_later_and_lifted_again_holds_in_between() -> None:
    changing = gate(None)
    changing.set_cap(9.0, 10.0)
    assert not changing.admits(7.0, 10.0)

    changing.set_cap(None, 11.0)
    assert changing.admits(7.0, 11.0)


def test_predictions_too_low_by_half_are_made_up_for_when_they_settle() -> None:
    busy, real_j = gate(), 0.0
    for tick in range(10_000):
        if busy.admits(0.02, tick / 1000):
            busy.spend(0.02, tick / 1000)
            busy.settle(0.02, 0.03, tick / 1000)
            real_j += 0.03

    assert real_j / 10 == pytest.approx(6.0, rel=0.03)


def test_the_allowance_shares_what_comes_and_what_is_there_among_all_requests() -> None:
    fresh = gate()

    held_j = fresh.tokens_j(0.0)
    assert fresh.allowance_j(30.0, 10, 2.0, 0.0) == pytest.approx(
        (2 * fresh.refill_w + held_j) / 70
    )
    assert fresh.allowance_j(0.0, 1, 10.0, 0.0) == 6.0


def test_the_surplus_is_what_the_bucket_holds_above_half() -> None:
    made = gate()
    held_j = made.tokens_j(0.0)

    assert gate(None).surplus_j(0.0) == 0.0
    assert made.surplus_j(0.0) == pytest.approx(held_j / 2)
    made.spend(0.8 * held_j, 0.0)
    assert made.surplus_j(0.0) == 0.0
    assert made.surplus_j(100.0) == pytest.approx(held_j / 2)


def test_power_that_no_request_was_charged_for_leaves_less_for_requests() -> None:
    shared = gate()
    for tick in range(1, 41):
        shared.observe(5.0, 2.0, tick / 4)

    assert shared.refill_w == pytest.approx(9 * 0.99 - 3 - 2, rel=0.02)


def test_an_idle_power_that_was_learnt_counts() -> None:
    corrected = gate()
    corrected.set_idle_power(4.0, 0.0)

    assert not corrected.admits(5.5, 1.0)
    assert corrected.admits(5.0, 1.0)


@pytest.mark.parametrize("cap_w", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cap_that_makes_no_sense_is_refused(cap_w: float) -> None:
    with pytest.raises(ValueError, match="cap_w must be None or positive and finite"):
        gate().set_cap(cap_w, 0.0)


def test_an_idle_power_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="idle_power_w must be finite"):
        gate().set_idle_power(float("nan"), 0.0)
