from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.power.cap import CapControl, CapError
from app.scheduling.cap_schedule import parse_schedule
from app.scheduling.power_gate import PowerGate
from tests.unit.clocks import Clock

HOUR_S = 3600.0


class Bench:
    """A cap in charge of a node that draws 3 W idle; it is six in the morning UTC."""

    def __init__(self) -> None:
        self.clock, self.wall = Clock(), Clock(20_000 * 86_400 + 6 * HOUR_S)
        self.gate = PowerGate(cap_w=None, idle_power_w=3.0, now_s=self.clock())
        self.cap = CapControl(self.gate, clock=self.clock, wall_clock=self.wall)

    def follow(self, **schedule: object) -> None:
        self.cap.follow(parse_schedule(schedule))

    def after(self, seconds: float) -> float | None:
        self.clock.pass_by(seconds)
        self.wall.pass_by(seconds)
        self.cap.update()
        return self.gate.cap_w


def test_a_fixed_cap_holds_until_it_is_lifted() -> None:
    bench = Bench()
    bench.cap.fix(9.0)
    assert bench.after(100.0) == 9.0
    bench.cap.fix(None)
    assert bench.after(100.0) is None


def test_a_schedule_is_followed_by_the_time_of_day() -> None:
    bench = Bench()
    bench.follow(steps=[{"at": "05:00", "cap_w": 9}, {"at": "07:00", "cap_w": 5}])
    assert bench.gate.cap_w == 9.0, "at once"
    assert bench.after(HOUR_S) == 5.0


def test_steps_since_it_was_set_count_from_then() -> None:
    bench = Bench()
    bench.clock.pass_by(1000.0)
    bench.follow(steps=[{"after_s": 0, "cap_w": 9}, {"after_s": 10, "cap_w": 5}], repeat_s=20)
    assert [bench.after(8.0) for _ in range(4)] == [9.0, 5.0, 9.0, 5.0]


def test_a_battery_rule_needs_a_battery_that_tells_its_charge() -> None:
    bench = Bench()
    assert not bench.cap.asks_battery
    bench.follow(steps=[{"battery_below": 0.2, "cap_w": 4}])
    assert bench.cap.asks_battery
    assert bench.after(1.0) is None
    bench.cap.battery_ratio = 0.1
    assert bench.after(1.0) == 4.0


def test_a_fixed_cap_ends_a_schedule_and_the_other_way_round() -> None:
    bench = Bench()
    bench.follow(steps=[{"at": "05:00", "cap_w": 9}])
    bench.cap.fix(7.0)
    assert bench.cap.schedule is None
    assert bench.after(HOUR_S) == 7.0
    bench.follow(steps=[{"at": "05:00", "cap_w": 9}])
    assert bench.cap.cap_w == 9.0


def test_an_update_tells_whether_the_cap_changed() -> None:
    bench = Bench()
    bench.follow(steps=[{"after_s": 0, "cap_w": 9}, {"after_s": 10, "cap_w": 5}])
    assert not bench.cap.update()
    bench.clock.pass_by(11.0)
    assert bench.cap.update()


def test_a_cap_at_the_idle_power_is_refused_and_changes_nothing() -> None:
    bench = Bench()
    bench.cap.fix(9.0)
    with pytest.raises(CapError, match="above the idle power of 3 W, got 3 W"):
        bench.cap.fix(3.0)
    with pytest.raises(CapError, match="got 2 W"):
        bench.follow(steps=[{"at": "05:00", "cap_w": 9}, {"at": "07:00", "cap_w": 2}])
    assert bench.cap.cap_w == 9.0
    assert bench.cap.schedule is None


class Board:
    """What one process reads and writes of the cap that several share."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, object]] = []
        self.news: Mapping[str, Any] | None = None

    def put_cap(self, content: Mapping[str, object]) -> None:
        self.told.append(content)

    def cap_news(self) -> Mapping[str, Any] | None:
        news, self.news = self.news, None
        return news


def shared_control(board: Board, clock: Clock, cap_w: float | None = None) -> CapControl:
    gate = PowerGate(cap_w=cap_w, idle_power_w=3.0, now_s=clock())
    return CapControl(gate, clock=clock, wall_clock=lambda: 1000.0, shares=4, board=board)


def test_each_of_several_processes_keeps_to_its_share_of_what_the_cap_allows() -> None:
    control = shared_control(Board(), Clock(), cap_w=11.0)
    assert control.cap_w == 11.0
    assert control._gate.cap_w == 5.0
    allowed_w = 4 * (control._gate.cap_w - 3.0)
    assert 3.0 + allowed_w == 11.0


def test_a_cap_that_another_process_was_given_is_taken_over_and_not_told_again() -> None:
    board = Board()
    control = shared_control(board, Clock())
    control.fix(9.0)
    assert board.told == [{"cap_w": 9.0}]
    board.news = {"cap_w": 7.0}
    assert control.update()
    assert (control.cap_w, control._gate.cap_w) == (7.0, 4.0)
    assert len(board.told) == 1
    board.news = {"cap_w": None}
    assert control.update()
    assert control.cap_w is None


def test_a_schedule_that_another_process_was_given_began_when_it_was_given() -> None:
    schedule = {"steps": [{"after_s": 0, "cap_w": 20}, {"after_s": 60, "cap_w": 10}]}
    board = Board()
    control = shared_control(board, Clock())
    board.news = {"schedule": schedule, "at_s": 930.0}
    control.update()
    assert control.cap_w == 10


class Supply:
    """A site that leaves a node so much."""

    def __init__(self, cap_w: float) -> None:
        self.left_w = cap_w

    def cap_w(self) -> float:
        return self.left_w

    def reading(self) -> None:
        return None


def test_the_smaller_of_the_nodes_own_cap_and_what_the_site_leaves_counts() -> None:
    gate = PowerGate(cap_w=None, idle_power_w=3.0, now_s=0.0)
    site = Supply(8.0)
    cap = CapControl(gate, clock=lambda: 0.0, wall_clock=lambda: 0.0, site=site)
    assert cap.cap_w == gate.cap_w == 8.0
    cap.fix(6.0)
    assert cap.cap_w == gate.cap_w == 6.0
    site.left_w = 4.0
    assert cap.update()
    assert cap.cap_w == gate.cap_w == 4.0
    site.left_w = 9.0
    assert cap.update()
    assert gate.cap_w == 6.0
    cap.fix(None)
    assert gate.cap_w == 9.0
    assert not cap.update()
