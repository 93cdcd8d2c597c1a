from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.bucket import EnergyBucket
from app.scheduling.power_gate import PowerGate

energies = st.floats(0, 10)
clocks = st.floats(-5, 100)  # in any order: also a clock that steps back
calls = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), clocks, energies),
        st.tuples(st.just("borrow"), clocks, energies),
        st.tuples(st.just("settle"), clocks, energies, energies),
        st.tuples(st.just("set_rate"), clocks, energies),
        st.tuples(st.just("resize"), clocks, energies, energies),
    ),
    max_size=40,
)


@given(calls=calls)
def test_a_bucket_never_overdraws_beyond_its_debt_nor_overflows(calls: list[tuple]) -> None:
    bucket = EnergyBucket(rate_w=1.0, capacity_j=2.0, debt_j=3.0, now_s=0.0)
    debt_j, capacity_j = 3.0, 2.0
    for name, now_s, *joules in calls:
        try:
            getattr(bucket, name)(*joules, now_s)
        except ValueError:
            assert name in ("spend", "borrow")
        if name == "resize":
            capacity_j, debt_j = joules
        assert -debt_j <= bucket.tokens_j(now_s) <= capacity_j


@given(
    steps=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), max_size=60),
    rate_w=st.floats(0.01, 10),
    capacity_j=st.floats(0, 5),
)
def test_no_interval_admits_more_than_the_capacity_and_its_refill(
    steps: list[tuple[float, float]], rate_w: float, capacity_j: float
) -> None:
    bucket = EnergyBucket(rate_w=rate_w, capacity_j=capacity_j, debt_j=0.0, now_s=0.0)
    spent: list[tuple[float, float]] = []
    now_s = 0.0
    for pause_s, energy_j in steps:
        now_s += pause_s
        if bucket.affords(energy_j, now_s):
            bucket.spend(energy_j, now_s)
            spent.append((now_s, energy_j))
    for first in range(len(spent)):
        total_j = 0.0
        for when_s, energy_j in spent[first:]:
            total_j += energy_j
            assert total_j <= capacity_j + rate_w * (when_s - spent[first][0]) + 1e-9


@given(
    settled=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), max_size=20),
    refill_s=st.floats(0, 3),
)
def test_joules_beyond_prediction_are_owed_or_counted_but_never_forgotten(
    settled: list[tuple[float, float]], refill_s: float
) -> None:
    bucket = EnergyBucket(rate_w=0.0, capacity_j=1e3, debt_j=2.0, now_s=0.0)
    bucket.spend(1e3, 0.0)
    owed_j = 0.0
    for predicted_j, measured_j in settled:
        bucket.settle(predicted_j, measured_j, refill_s)
        owed_j += measured_j - predicted_j
    assert math.isclose(bucket.overrun_j - bucket.tokens_j(refill_s), owed_j, abs_tol=1e-9)


@given(
    start_s=st.floats(0, 1e6),
    rate_w=st.floats(1e-3, 100),
    capacity_j=st.floats(1e-3, 100),
    share=st.floats(0, 1),
)
def test_after_the_stated_wait_the_energy_is_affordable(
    start_s: float, rate_w: float, capacity_j: float, share: float
) -> None:
    bucket = EnergyBucket(rate_w=rate_w, capacity_j=capacity_j, debt_j=capacity_j, now_s=start_s)
    bucket.spend(capacity_j, start_s)
    bucket.settle(0.0, capacity_j * share, start_s)
    wait_s = bucket.affordable_in_s(capacity_j * share, start_s)
    assert bucket.affords(capacity_j * share, start_s + wait_s)


tries = st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1.2)), min_size=1, max_size=80)
caps = st.floats(3.001, 30)


@given(tries=tries, cap_w=caps)
def test_no_second_admits_more_than_the_cap_allows_and_a_twentieth(
    tries: list[tuple[float, float]], cap_w: float
) -> None:
    """Whatever a greedy caller mixes: crumbs, and requests that cost a second's worth."""
    gate = PowerGate(cap_w=cap_w, idle_power_w=3.0, now_s=0.0)
    allowed_j, now_s = cap_w - 3.0, 0.0
    spent: list[tuple[float, float]] = []
    for pause_s, share in tries:
        now_s += pause_s
        if gate.admits(share * allowed_j, now_s):
            gate.spend(share * allowed_j, now_s)
            spent.append((now_s, share * allowed_j))
    for end_s, _ in spent:
        second_j = sum(energy_j for when_s, energy_j in spent if end_s - 1 < when_s <= end_s)
        assert second_j <= allowed_j * 1.05 * (1 + 1e-9)


@given(tries=tries, cap_w=caps)
def test_after_the_stated_wait_the_gate_admits_what_it_ever_can(
    tries: list[tuple[float, float]], cap_w: float
) -> None:
    gate = PowerGate(cap_w=cap_w, idle_power_w=3.0, now_s=0.0)
    now_s = 0.0
    for pause_s, share in tries:
        now_s += pause_s
        energy_j = share * (cap_w - 3.0)
        wait_s = gate.wait_s(energy_j, now_s)
        assert (wait_s == 0.0) == gate.admits(energy_j, now_s)
        assert (wait_s == math.inf) == (gate.least_cap_w(energy_j) > cap_w)
        if wait_s < math.inf:
            now_s += wait_s
            assert gate.admits(energy_j, now_s)
            gate.spend(energy_j, now_s)
