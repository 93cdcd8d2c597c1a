from __future__ import annotations

import pytest

from app.node import Node
from app.scheduling.power_gate import PowerGate
from sentryfuse.energy import CpuTimeMeter


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(clock: Clock, cpu: Clock) -> Node:
    meter = CpuTimeMeter(5.0, 3.0, clock=clock, cpu_clock=cpu)
    gate = PowerGate(cap_w=None, idle_power_w=3.0, now_s=clock())
    return Node(meter, gate, watts_per_core=5.0, clock=clock)


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
