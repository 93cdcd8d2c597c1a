from __future__ import annotations

import math

import pytest

from app.scheduling.accounts import EnergyAccounts

IDLE_W, CORE_W = 3.0, 5.0


def accounts(price: float = CORE_W) -> EnergyAccounts:
    return EnergyAccounts(total_energy_j=100.0, cpu_s=7.0, now_s=50.0, price_j_per_cpu_s=price)


class Node:
    """A meter and a CPU clock that run as told, and the accounts that read them."""

    def __init__(self, price: float = CORE_W, core_w: float = CORE_W) -> None:
        self.books = accounts(price)
        self.core_w = core_w
        self.total_j, self.cpu_s, self.now_s = 100.0, 7.0, 50.0

    def run(self, seconds: float, *, request_cores: float, other_cores: float = 0.0) -> None:
        """Four ticks a second, each after a request that took all of the requests' time."""
        for _ in range(round(seconds * 4)):
            self.now_s += 0.25
            self.cpu_s += 0.25 * (request_cores + other_cores)
            self.total_j += 0.25 * (IDLE_W + self.core_w * (request_cores + other_cores))
            self.books.charge(0.25 * request_cores)
            self.books.tick(self.total_j, self.cpu_s, self.now_s, idle_power_w=IDLE_W)


def test_energy_is_split_between_idle_requests_and_overhead() -> None:
    node = Node()
    node.run(10, request_cores=0.8, other_cores=0.4)

    assert node.books.idle_j == pytest.approx(30)
    assert node.books.requests_j == pytest.approx(40)
    assert node.books.overhead_j == pytest.approx(20)
    assert node.books.total_j == pytest.approx(90)
    assert node.books.unattributed_w == pytest.approx(2, rel=0.01)


def test_on_a_model_of_cpu_time_the_price_is_exactly_its_watts_per_core() -> None:
    node = Node()
    node.run(60, request_cores=0.7, other_cores=0.2)

    assert node.books.charge(0.01) == pytest.approx(0.05, rel=1e-9)


def test_the_price_follows_the_meter() -> None:
    node = Node(price=5.0, core_w=12.0)
    node.run(30, request_cores=1.0)

    assert node.books.price_j_per_cpu_s == pytest.approx(12, rel=0.01)


def test_windows_in_which_hardly_anything_ran_leave_the_price_alone() -> None:
    books = accounts()
    for second in range(1, 600):  # the idle power is set half a watt too low
        books.tick(100 + 3.5 * second, 7 + 0.001 * second, 50 + second, idle_power_w=3.0)

    assert books.price_j_per_cpu_s == CORE_W


def test_a_receipt_too_high_is_paid_from_what_comes_later_before_any_overhead() -> None:
    books = accounts()
    assert books.charge(0.4) == 2.0
    books.tick(104.0, 7.2, 51.0, idle_power_w=IDLE_W)
    assert books.requests_j == pytest.approx(1.0)
    assert books.unpaid_j == pytest.approx(1.0, rel=0.02)

    books.tick(109.0, 7.6, 52.0, idle_power_w=IDLE_W)
    assert books.requests_j == pytest.approx(2.0, rel=0.01)
    assert books.overhead_j == pytest.approx(1.0, rel=0.02)


def test_a_receipt_too_low_leaves_the_difference_to_overhead() -> None:
    books = accounts(price=1.0)
    books.charge(1.0)
    books.tick(108.0, 8.0, 51.0, idle_power_w=IDLE_W)

    assert (books.requests_j, books.overhead_j) == (1.0, 4.0)


def test_what_a_dead_meter_never_showed_is_written_off() -> None:
    books = accounts()
    books.charge(100.0)
    books.tick(103.0 + 600 * IDLE_W, 107.0, 50.0 + 601, idle_power_w=IDLE_W)

    assert books.unpaid_j < 0.1
    assert books.charged_j == pytest.approx(books.requests_j + books.written_off_j, rel=1e-3)


def test_a_meter_that_moves_in_steps_is_judged_over_whole_steps() -> None:
    books = accounts()
    for quarter in range(1, 41):
        books.charge(0.1)
        seconds = quarter // 4
        books.tick(100 + 5.0 * seconds, 7 + quarter / 10, 50 + quarter / 4, idle_power_w=IDLE_W)

    assert (books.idle_j, books.requests_j, books.overhead_j) == pytest.approx((30, 20, 0))


@pytest.mark.parametrize("total_j", [90.0, 100.0, math.nan, math.inf])
def test_a_reading_that_gained_nothing_or_cannot_be_books_nothing(total_j: float) -> None:
    books = accounts()
    books.tick(total_j, 8.0, 51.0, idle_power_w=IDLE_W)

    assert (books.total_j, books.idle_j) == (0.0, 0.0)


def test_power_below_idle_is_all_idle() -> None:
    books = accounts()
    books.tick(101.0, 7.0, 51.0, idle_power_w=IDLE_W)

    assert (books.idle_j, books.overhead_j) == (1.0, 0.0)


@pytest.mark.parametrize("cpu_s", [-1.0, math.nan, math.inf])
def test_cpu_seconds_that_make_no_sense_are_refused(cpu_s: float) -> None:
    with pytest.raises(ValueError, match="cpu_s must be finite and at least 0"):
        accounts().charge(cpu_s)
