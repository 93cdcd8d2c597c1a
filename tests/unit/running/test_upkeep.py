from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from app.inference.pump import Pump, Totals
from app.power.cap import CapControl
from app.power.frequency import FrequencyControl
from app.power.node import Node
from app.running.upkeep import Upkeep
from app.scheduling.cap_schedule import parse_schedule
from sentryfuse.energy import CpuTimeMeter
from tests.unit.clocks import Clock


class Engine:
    """In place of a pump and its scheduler: runs what a test says has run."""

    def __init__(self) -> None:
        self.ran = Totals()
        self.turns = 0
        self.overhead_core_s = 0.0
        self.scheduler = self

    def totals(self) -> Totals:
        return self.ran

    def turn(self) -> None:
        self.turns += 1


class Dial:
    """In place of control over the processor's frequency."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []
        self.closed = False

    def update(self, windows: int, pruned: float, now_s: float) -> None:
        self.seen.append((windows, pruned))

    def close(self) -> None:
        self.closed = True


class Bench:
    """Upkeep of a made-up node: 3 W idle, 5 W for its core."""

    def __init__(self, *, shares_cores: bool = True) -> None:
        self.clock, self.wall, self.cpu, self.loop_cpu = (Clock(0.0) for _ in range(4))
        self.engine, self.dial, self.received = Engine(), Dial(), 0
        meter = CpuTimeMeter(5.0, 3.0, clock=self.clock, cpu_clock=self.cpu)
        self.node = Node(
            meter,
            power_cap_w=None,
            price_j_per_cpu_s=5.0,
            cpu_clock=self.cpu,
            clock=self.clock,
        )
        self.cap = CapControl(self.node.gate, clock=self.clock, wall_clock=self.wall)
        self.charge: float | None = None
        self.upkeep = Upkeep(
            cast(Pump, self.engine),
            self.node,
            self.cap,
            received=lambda: self.received,
            shares_cores=shares_cores,
            frequency=cast(FrequencyControl, self.dial),
            battery_ratio=self.battery_ratio,
            clock=self.clock,
            loop_cpu_clock=self.loop_cpu,
        )

    def battery_ratio(self) -> float | None:
        return self.charge

    def turn(self, seconds: float = 0.25) -> None:
        for clock in (self.clock, self.wall):
            clock.pass_by(seconds)
        self.upkeep.turn()


def test_the_meter_is_read_and_the_books_are_closed() -> None:
    bench = Bench()
    bench.cpu.pass_by(0.1)
    bench.turn(0.25)
    assert bench.node.power_w == pytest.approx(3 + 5 * 0.4)
    assert bench.node.accounts.total_j == pytest.approx(0.75 + 0.5)


def test_the_scheduler_learns_what_the_event_loop_takes_for_a_request() -> None:
    bench = Bench()
    for _ in range(40):
        bench.received += 100
        bench.loop_cpu.pass_by(0.2)
        bench.turn()
    assert bench.engine.overhead_core_s == pytest.approx(0.002, rel=0.01)


def test_an_event_loop_with_a_core_of_its_own_takes_nothing_from_inference() -> None:
    bench = Bench(shares_cores=False)
    bench.received, bench.loop_cpu.now_s = 100, 1.0
    bench.turn()
    assert bench.engine.overhead_core_s == 0.0


def test_a_cap_that_the_schedule_changes_lets_go_who_waits() -> None:
    bench = Bench()
    steps = [{"after_s": 0, "cap_w": 4}, {"after_s": 1, "cap_w": None}]
    bench.cap.follow(parse_schedule({"steps": steps}))
    bench.turn(0.5)
    assert bench.engine.turns == 0
    bench.turn(0.6)
    assert bench.engine.turns == 1
    assert bench.node.gate.cap_w is None


def test_the_frequency_is_told_what_ran_since_the_last_turn() -> None:
    bench = Bench()
    bench.engine.ran = Totals(windows=10, pruned=5.0)
    bench.turn()
    bench.engine.ran = Totals(windows=14, pruned=8.0)
    bench.turn()
    assert bench.dial.seen == [(10, 5.0), (4, 3.0)]


def play(bench: Bench, until: Callable[[], bool]) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(bench.upkeep.run())
        async with asyncio.timeout(5):
            while not until():
                bench.clock.pass_by(0.25)
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_the_battery_is_read_only_for_a_schedule_that_asks_for_it() -> None:
    bench = Bench()
    bench.charge = 0.1
    play(bench, lambda: len(bench.dial.seen) == 1)
    assert bench.cap.battery_ratio is None
    bench.cap.follow(parse_schedule({"steps": [{"battery_below": 0.2, "cap_w": 4}]}))
    play(bench, lambda: bench.cap.cap_w == 4)


def test_a_turn_that_fails_is_logged_and_the_next_one_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    failures = iter([RuntimeError("the meter fell off")])

    def fail_once() -> Totals:
        for failure in failures:
            raise failure
        return Totals()

    bench.engine.totals = fail_once  # type: ignore[method-assign]
    play(bench, lambda: bool(bench.dial.seen))
    assert "upkeep failed" in caplog.text


def test_on_stop_the_frequency_is_put_back() -> None:
    bench = Bench()
    bench.upkeep.close()
    assert bench.dial.closed
