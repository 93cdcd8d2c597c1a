from __future__ import annotations

import pytest

from app.node import Node, Overhead
from sentryfuse.energy import CpuTimeMeter


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(clock: Clock, cpu: Clock | None = None) -> Node:
    meter = CpuTimeMeter(5.0, 3.0, clock=clock, cpu_clock=cpu or Clock())
    return Node(meter, power_cap_w=None, clock=clock)


def test_an_overhead_settles_on_what_is_seen() -> None:
    overhead = Overhead()
    for _ in range(60):
        overhead = overhead.updated(0.002)
    assert overhead.mean_s == pytest.approx(0.002, rel=0.01)
    assert overhead.allowance_s == pytest.approx(0.002, rel=0.05)


def test_an_unsteady_overhead_sets_more_time_aside() -> None:
    calm, wild = Overhead(), Overhead()
    for turn in range(60):
        calm = calm.updated(0.002)
        wild = wild.updated(0.001 + 0.002 * (turn % 2))
    assert wild.allowance_s > calm.allowance_s + 0.0005


def test_a_plan_counts_what_is_spent_and_what_the_answer_will_take() -> None:
    node = make(Clock())
    assert node.state(elapsed_s=0.01).elapsed_s == pytest.approx(0.01 + node.overhead.allowance_s)


def test_inferences_slower_than_profiled_slow_down_what_is_planned() -> None:
    node = make(Clock())
    for _ in range(30):
        node.ran(observed_s=0.004, profiled_s=0.002)
    assert node.state(elapsed_s=0).slowdown == pytest.approx(2.0, rel=0.05)
    assert node.idle_state(elapsed_s=0).slowdown == 1.0


def test_the_rate_counts_admitted_requests() -> None:
    clock = Clock()
    node = make(clock)
    for _ in range(40):
        node.admitted()
        clock.now_s += 0.1
    assert node.arrival_rate_hz == pytest.approx(10, rel=0.05)
    assert node.idle_state(elapsed_s=0).arrival_rate_hz == 0
    assert node.rate_falls_in_s(5.0) == pytest.approx(5.0, rel=0.1)
    assert node.rate_falls_in_s(20.0) == 0


def test_power_is_what_was_drawn_since_the_last_reading() -> None:
    clock, cpu = Clock(), Clock()
    node = make(clock, cpu)
    assert node.power_w() == 3.0
    clock.now_s += 2
    cpu.now_s += 1
    assert node.power_w() == pytest.approx(3 + 5 * 0.5)
    clock.now_s += 0.1
    cpu.now_s += 0.1
    assert node.power_w() == pytest.approx(3 + 5 * 0.5), "too soon for a new reading"
