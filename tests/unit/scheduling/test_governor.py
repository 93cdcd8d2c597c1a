from __future__ import annotations

import math

import pytest

from app.scheduling.governor import Governor

CAP_W, IDLE_W = 9.0, 3.0
TARGET_W = 8.91


def after(
    seconds: float,
    *,
    power_w: float,
    use: float = 1.0,
    unattributed_w: float = 0.0,
    cap_w: float = CAP_W,
    governor: Governor | None = None,
    period_s: float = 0.25,
) -> Governor:
    governor = governor or Governor()
    for _ in range(round(seconds / period_s)):
        governor = governor.updated(
            cap_w=cap_w,
            idle_power_w=IDLE_W,
            power_w=power_w,
            unattributed_w=unattributed_w,
            use=use,
            period_s=period_s,
        )
    return governor


def test_at_first_it_trusts_the_predictions_and_aims_one_percent_below_the_cap() -> None:
    assert Governor().refill_w(CAP_W, IDLE_W) == pytest.approx(TARGET_W - IDLE_W)


def test_near_idle_the_margin_is_a_tenth_of_what_the_cap_leaves() -> None:
    assert Governor().refill_w(3.1, IDLE_W) == pytest.approx(0.09)


def test_power_above_the_target_is_trimmed_at_once() -> None:
    assert after(0.25, power_w=10.5).refill_w(CAP_W, IDLE_W) < 5.7


def test_power_below_the_target_counts_only_after_the_bucket_bound_for_as_long_as_the_meter_lags():
    trimmed = after(3, power_w=10.5)

    assert after(1, power_w=7.0, use=0.5, governor=trimmed).trim <= trimmed.trim * 0.98
    early = after(1, power_w=7.0, governor=after(1.25, power_w=3.0, use=0.0, governor=trimmed))
    assert early.trim == pytest.approx(trimmed.trim, rel=0.05)
    assert after(1, power_w=7.0, governor=early).trim > trimmed.trim * 0.8


def test_without_load_the_integral_does_not_wind_up() -> None:
    assert after(600, power_w=IDLE_W, use=0.0).trim == 0.0


def test_however_long_the_bucket_binds_no_more_than_cap_minus_idle_is_refilled() -> None:
    wound = after(60, power_w=5.0)

    assert wound.refill_w(CAP_W, IDLE_W) == pytest.approx(CAP_W - IDLE_W)
    assert wound.trim < 0.02


def test_an_upper_clamp_is_left_as_soon_as_power_is_too_high() -> None:
    wound = after(60, power_w=5.0)

    assert after(0.5, power_w=10.5, governor=wound).refill_w(CAP_W, IDLE_W) < 5.5


def test_an_error_within_the_dead_band_changes_nothing() -> None:
    assert after(10, power_w=TARGET_W + 0.04).trim == 0.0
    assert after(10, power_w=TARGET_W - 0.04).trim == 0.0


def test_power_that_requests_do_not_answer_for_is_fed_forward() -> None:
    filtered = after(5, power_w=TARGET_W, unattributed_w=2.0)

    assert filtered.trim == 0.0
    assert filtered.refill_w(CAP_W, IDLE_W) == pytest.approx(TARGET_W - IDLE_W - 2, abs=0.05)


def test_others_that_burn_more_than_the_cap_leave_nothing_but_spoil_nothing() -> None:
    choked = after(30, power_w=14.0, unattributed_w=11.0, use=0.0)
    assert choked.refill_w(CAP_W, IDLE_W) == 0.0

    freed = after(5, power_w=IDLE_W, use=0.0, governor=choked)
    assert freed.refill_w(CAP_W, IDLE_W) == pytest.approx(TARGET_W - IDLE_W, rel=0.02)


def test_readings_that_are_older_than_a_step_of_the_cap_are_no_error() -> None:
    steady = after(5, power_w=TARGET_W)

    stepped = after(1, power_w=TARGET_W, cap_w=5.0, governor=steady)
    assert stepped.trim == 0.0
    assert after(1, power_w=TARGET_W, cap_w=5.0, governor=stepped).trim < -0.1


def test_a_slow_meter_may_still_speak_of_the_period_before_the_step() -> None:
    steady = after(5, power_w=TARGET_W, period_s=1.0)

    stepped = after(2, power_w=TARGET_W, cap_w=5.0, governor=steady, period_s=1.0)
    assert stepped.trim == 0.0


def test_refill_lost_between_two_looks_at_the_bucket_does_not_hide_that_it_binds() -> None:
    trimmed = after(3, power_w=10.5)

    assert after(4, power_w=7.0, use=0.85, governor=trimmed).trim > trimmed.trim * 0.8


def test_a_trim_holds_under_another_cap() -> None:
    learnt = Governor(trim=-0.2)

    assert learnt.refill_w(5.0, IDLE_W) == pytest.approx(0.8 * (4.95 - IDLE_W))


def test_a_trim_that_nothing_confirms_is_forgotten() -> None:
    assert after(180, power_w=4.0, use=0.1, governor=Governor(trim=-0.9)).trim > -0.06


@pytest.mark.parametrize("power_w", [math.nan, math.inf])
def test_a_reading_that_is_no_number_changes_nothing(power_w: float) -> None:
    assert after(1, power_w=power_w) == Governor()


def test_a_cap_below_idle_refills_nothing() -> None:
    assert after(5, power_w=3.0, cap_w=2.0).refill_w(2.0, IDLE_W) == 0.0
