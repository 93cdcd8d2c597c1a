from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentryfuse.energy import MonotoneCounter

readings = st.lists(
    st.tuples(st.floats(0, 10), st.floats() | st.floats(0, 1000) | st.integers(0, 5)), max_size=50
)
ranges = st.none() | st.floats(1, 2000)


@given(readings=readings, range_j=ranges)
def test_whatever_a_counter_reads_the_total_never_falls_nor_outruns_the_power_limit(
    readings: list[tuple[float, float]], range_j: float | None
) -> None:
    counter = MonotoneCounter(range_j=range_j, max_power_w=50.0, frozen_after_s=1.0)
    now_s, total_j = 0.0, 0.0
    for step_s, raw_j in readings:
        now_s += step_s
        after_j = counter.update(raw_j, now_s)
        assert after_j >= total_j
        total_j = after_j
    assert total_j <= 50.0 * now_s * (1 + 1e-9)


@given(
    gains=st.lists(st.floats(0, 100), min_size=1, max_size=50),
    start=st.floats(0, 1000),
    range_j=st.floats(1000, 2000),
)
def test_a_counter_that_wraps_agrees_with_one_that_does_not(
    gains: list[float], start: float, range_j: float
) -> None:
    wrapping = MonotoneCounter(range_j=range_j, max_power_w=500.0)
    raw_j = start
    wrapping.update(raw_j, 0.0)
    for i, gain_j in enumerate(gains, start=1):
        raw_j += gain_j
        wrapping.update(raw_j % range_j, float(i))
    assert abs(wrapping.total_j - (raw_j - start)) <= 1e-6
