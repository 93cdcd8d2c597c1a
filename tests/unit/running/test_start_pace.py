from __future__ import annotations

import asyncio

import pytest

from app.running.start_pace import StartPace


class Node:
    """A process whose steps take CPU time; sleeping takes only time."""

    def __init__(self, *, room_w: float, price_w: float = 5.0) -> None:
        self.now_s = self.cpu_s = 0.0
        self.room_w = room_w
        self.idly_cpu = 0.0
        self.pace = StartPace(
            lambda: self.room_w,
            lambda: price_w,
            clock=lambda: self.now_s,
            cpu_clock=lambda: self.cpu_s,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.cpu_s += self.idly_cpu * seconds

    def step(self, cpu_s: float, least_s: float = 0.0) -> None:
        self.cpu_s += cpu_s
        self.now_s += cpu_s
        asyncio.run(self.pace.rest(least_s))


def test_steps_take_as_long_as_the_room_has_energy_for_them() -> None:
    node = Node(room_w=1.0)
    for _ in range(6):
        node.step(0.5)
    assert node.now_s == pytest.approx(6 * 0.5 * 5.0)


def test_what_was_spent_before_is_paid_first() -> None:
    node = Node(room_w=2.0)
    node.cpu_s = 1.0
    node.step(0.0)
    assert node.now_s == pytest.approx(1.0 * 5.0 / 2.0)


def test_with_room_for_a_core_nothing_waits_longer_than_it_must() -> None:
    node = Node(room_w=5.0)
    for _ in range(4):
        node.step(0.5, least_s=0.25)
    assert node.now_s == pytest.approx(4 * 0.75)


def test_more_room_shortens_a_rest_that_has_begun() -> None:
    node = Node(room_w=0.05)
    slow_sleep = node.sleep

    async def sleep(seconds: float) -> None:
        await slow_sleep(seconds)
        node.room_w = 5.0

    node.pace._sleep = sleep
    node.step(0.5)
    assert node.now_s < 3.0


def test_probes_meanwhile_do_not_put_readiness_off() -> None:
    node = Node(room_w=0.5)
    node.idly_cpu = 0.2  # twice what there is room for
    for _ in range(3):
        node.step(0.5)
    assert node.now_s == pytest.approx(3 * 0.5 * 5.0 / 0.5)


def test_once_ready_it_waits_for_what_it_is_told_alone() -> None:
    node = Node(room_w=0.1)
    node.pace.over = True
    node.step(3.0, least_s=0.5)
    assert node.now_s == pytest.approx(3.5)
