from __future__ import annotations

import pytest

from app.scheduling.load import LoadForecast


def test_a_steady_stream_is_forecast_at_its_rate() -> None:
    load = LoadForecast(0.5)
    for n in range(1000):
        load.record(n / 200)

    assert load.rate_hz(1000 / 200) == pytest.approx(200, rel=0.02)


def test_the_rate_is_right_soon_after_the_start() -> None:
    load = LoadForecast(0.5)
    for n in range(40):
        load.record(n / 200)

    assert load.rate_hz(40 / 200) == pytest.approx(200, rel=0.1)


def test_a_pause_is_forgotten_within_a_few_time_constants() -> None:
    load = LoadForecast(0.5)
    for n in range(1000):
        load.record(n / 200)

    assert load.rate_hz(5.0 + 2.5) < 2


def test_a_clock_that_steps_back_changes_nothing() -> None:
    load = LoadForecast(0.5)
    load.record(10.0)
    before = load.rate_hz(10.0)

    assert load.rate_hz(9.0) == before


def test_the_budget_follows_what_is_asked_and_has_bounds() -> None:
    load = LoadForecast()
    load.record(0.0, 1, 0.02)
    assert load.budget_s == pytest.approx(0.02)

    for n in range(200):
        load.record(n / 100, 1, 0.05)
    assert load.budget_s == pytest.approx(0.05, rel=0.05)

    for n in range(300):
        load.record(3 + n / 100)
    assert load.budget_s == pytest.approx(0.1, rel=0.05)
