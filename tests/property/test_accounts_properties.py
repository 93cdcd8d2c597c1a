from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from app.scheduling.accounts import EnergyAccounts

gains = st.floats(-1, 50)  # a meter that steps back too
ticks = st.lists(
    st.tuples(
        st.floats(-0.1, 30),  # seconds
        gains,
        st.floats(-0.1, 10),  # CPU seconds
        st.floats(0, 20),  # idle power
        st.lists(st.floats(0, 5), max_size=3),  # CPU seconds charged
    ),
    max_size=40,
)
BOOKS = ("total_j", "idle_j", "requests_j", "overhead_j", "charged_j", "written_off_j")


@given(ticks=ticks, price=st.floats(0, 20))
@example(ticks=[(2.2e-308, 1.0, 0.0, 0.0, [])], price=1.0)
def test_the_books_add_up_and_only_grow_whatever_meter_and_requests_do(
    ticks: list[tuple], price: float
) -> None:
    accounts = EnergyAccounts(total_energy_j=5.0, cpu_s=1.0, now_s=0.0, price_j_per_cpu_s=price)
    meter_j, cpu_s, now_s, highest_j = 5.0, 1.0, 0.0, 5.0
    before = dict.fromkeys(BOOKS, 0.0)
    receipts_j = 0.0
    for elapsed_s, gained_j, busy_s, idle_power_w, charges in ticks:
        receipts_j += sum(accounts.charge(charge) for charge in charges)
        now_s, meter_j, cpu_s = now_s + elapsed_s, meter_j + gained_j, cpu_s + busy_s
        accounts.tick(meter_j, cpu_s, now_s, idle_power_w=idle_power_w)
        highest_j = max(highest_j, meter_j)
        after = {book: getattr(accounts, book) for book in BOOKS}
        assert all(after[book] >= before[book] for book in BOOKS)
        parts_j = accounts.idle_j + accounts.requests_j + accounts.overhead_j
        assert math.isclose(parts_j, accounts.total_j, rel_tol=1e-9, abs_tol=1e-9)
        paid_j = accounts.requests_j + accounts.unpaid_j + accounts.written_off_j
        assert math.isclose(paid_j, receipts_j, rel_tol=1e-9, abs_tol=1e-9)
        assert accounts.total_j <= highest_j - 5.0 + 1e-9
        assert accounts.unpaid_j >= 0
        assert accounts.unattributed_w >= 0
        assert accounts.price_j_per_cpu_s >= 0
        before = after


@given(
    core_w=st.floats(1, 20),
    windows=st.lists(st.tuples(st.floats(0.1, 1), st.floats(0, 2)), min_size=1, max_size=60),
)
def test_a_model_of_cpu_time_keeps_its_price_whatever_the_load(
    core_w: float, windows: list[tuple[float, float]]
) -> None:
    accounts = EnergyAccounts(total_energy_j=0.0, cpu_s=0.0, now_s=0.0, price_j_per_cpu_s=core_w)
    now_s = cpu_s = 0.0
    for elapsed_s, busy_cores in windows:
        now_s, cpu_s = now_s + elapsed_s, cpu_s + elapsed_s * busy_cores
        accounts.tick(3.0 * now_s + core_w * cpu_s, cpu_s, now_s, idle_power_w=3.0)
    assert math.isclose(accounts.price_j_per_cpu_s, core_w, rel_tol=1e-9)
