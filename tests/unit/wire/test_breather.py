from __future__ import annotations

import asyncio

from app.wire.breather import Breather
from tests.unit.clocks import Clock


class Resting:
    """A connection that notes whether it is read."""

    def __init__(self) -> None:
        self.rests = 0
        self.is_read = True

    def rest(self) -> None:
        self.rests += 1
        self.is_read = False

    def go_on(self) -> None:
        self.is_read = True


def refuse(count: int, took_s: float) -> tuple[list[Resting], list[int]]:
    """Refuse so many in one turn; returns them, and how many are read at each look since."""

    async def play() -> tuple[list[Resting], list[int]]:
        clock = Clock()
        breather, connections = Breather(clock), [Resting() for _ in range(count)]
        for connection in connections:
            breather.refused(connection)
        clock.pass_by(took_s)
        await asyncio.sleep(0)
        looks = []
        async with asyncio.timeout(5):
            while not looks or looks[-1] < count:
                looks.append(sum(connection.is_read for connection in connections))
                await asyncio.sleep(0.002)
        return connections, looks

    return asyncio.run(play())


def test_refusals_that_cost_little_keep_nobody_waiting() -> None:
    connections, looks = refuse(10, took_s=0.001)
    assert not any(connection.rests for connection in connections)
    assert looks == [10]


def test_after_a_long_turn_those_refused_are_not_read_for_a_while() -> None:
    connections, looks = refuse(10, took_s=0.01)
    assert all(connection.rests == 1 for connection in connections)
    assert looks[0] == 0
    assert looks[-1] == 10


def test_they_are_read_again_in_groups_and_not_all_at_once() -> None:
    _, looks = refuse(128, took_s=0.02)
    assert {*looks} >= {0, 32, 64, 96, 128}
