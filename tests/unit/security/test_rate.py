from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.security.rate import RateLimiter


def test_a_burst_is_granted_and_then_the_steady_rate() -> None:
    limiter = RateLimiter(rate_hz=2, burst=3)
    assert [limiter.take("a", 10.0) for _ in range(3)] == [0, 0, 0]
    assert limiter.take("a", 10.0) == pytest.approx(0.5)
    assert limiter.take("a", 10.5) == 0
    assert limiter.take("a", 10.5) == pytest.approx(0.5)


def test_who_waits_as_long_as_told_is_granted() -> None:
    limiter = RateLimiter(rate_hz=3, burst=1)
    limiter.take("a", 0.0)
    wait_s = limiter.take("a", 0.1)
    assert wait_s > 0
    assert limiter.take("a", 0.1 + wait_s) == 0


def test_one_callers_haste_costs_no_other() -> None:
    limiter = RateLimiter(rate_hz=1, burst=1)
    limiter.take("a", 0.0)
    assert limiter.take("a", 0.0) > 0
    assert limiter.take("b", 0.0) == 0


def test_a_refusal_costs_nothing() -> None:
    limiter = RateLimiter(rate_hz=1, burst=1)
    limiter.take("a", 0.0)
    for _ in range(100):
        limiter.take("a", 0.5)
    assert limiter.take("a", 1.0) == 0


def test_callers_who_paused_are_forgotten_to_make_room() -> None:
    limiter = RateLimiter(rate_hz=1, burst=1, max_callers=2)
    for caller, now_s in (("a", 0.0), ("b", 0.0), ("c", 2.0)):
        limiter.take(caller, now_s)
    assert len(limiter) == 1
    assert limiter.take("d", 2.0) == 0


def test_a_flood_of_callers_shares_one_bucket_and_resets_nobodys() -> None:
    limiter = RateLimiter(rate_hz=1, burst=1, max_callers=2)
    limiter.take("a", 0.0)
    limiter.take("b", 0.0)
    granted = [caller for caller in map(str, range(100)) if limiter.take(caller, 0.0) == 0]
    assert granted == ["0"]
    assert limiter.take("a", 0.0) > 0
    assert len(limiter) == 3


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=60),
    rate_hz=st.floats(0.5, 20),
    burst=st.integers(1, 10),
)
def test_no_stretch_of_time_grants_more_than_burst_and_rate(
    gaps: list[float], rate_hz: float, burst: int
) -> None:
    limiter = RateLimiter(rate_hz, burst)
    now_s, granted = 0.0, []
    for gap in gaps:
        now_s += gap
        if not limiter.take("a", now_s):
            granted.append(now_s)
    for first, start_s in enumerate(granted):
        for count, end_s in enumerate(granted[first:], start=1):
            assert count <= burst + rate_hz * (end_s - start_s) + 1e-6
