from __future__ import annotations

import pytest

from app.scheduling import ArrivalRate


def steady(rate_hz: float, start_s: float, end_s: float) -> ArrivalRate:
    arrivals = ArrivalRate(window_s=10.0)
    for i in range(round((end_s - start_s) * rate_hz)):
        arrivals.record(start_s + i / rate_hz)
    return arrivals


def test_before_the_first_request_the_rate_is_zero() -> None:
    assert ArrivalRate().rate_hz(1e6) == 0.0


def test_one_request_counts_as_one_per_second_at_first() -> None:
    arrivals = ArrivalRate()
    arrivals.record(5.0)

    assert arrivals.rate_hz(5.0) == 1.0


@pytest.mark.parametrize("rate_hz", [3.0, 40.0, 250.0])
def test_a_steady_stream_is_measured_within_five_percent(rate_hz: float) -> None:
    assert steady(rate_hz, 100.0, 160.0).rate_hz(160.0) == pytest.approx(rate_hz, rel=0.05)


def test_a_young_stream_is_not_diluted_by_the_time_before_it() -> None:
    assert steady(100.0, 50.0, 52.0).rate_hz(52.0) == pytest.approx(100.0, rel=0.05)


def test_a_stream_that_stopped_is_forgotten_after_the_window() -> None:
    assert steady(100.0, 0.0, 20.0).rate_hz(30.2) == 0.0


def test_half_a_window_of_silence_halves_the_rate() -> None:
    assert steady(100.0, 0.0, 20.0).rate_hz(25.0) == pytest.approx(50.0, rel=0.05)


def test_a_batch_of_requests_counts_as_many() -> None:
    arrivals = ArrivalRate()
    arrivals.record(0.0, count=40)

    assert arrivals.rate_hz(0.5) == 40.0


def test_a_clock_that_steps_back_loses_no_request() -> None:
    arrivals = ArrivalRate()
    arrivals.record(10.0)
    arrivals.record(9.0)

    assert arrivals.rate_hz(10.5) == 2.0


def test_a_window_under_one_second_is_refused() -> None:
    with pytest.raises(ValueError, match="window_s"):
        ArrivalRate(window_s=0.1)
