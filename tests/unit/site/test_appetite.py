from __future__ import annotations

from app.site.appetite import Appetite, Load


def after(appetite: Appetite, *, active: float, room: float, asked: float, seconds: float) -> float:
    load = Load(active_w=active, room_w=room, asked_w=asked)
    for _ in range(round(2 * seconds)):
        appetite = appetite.after(load, 0.5)
    return appetite.wanted_w


def test_a_node_that_its_cap_may_limit_wants_what_is_asked_of_it() -> None:
    assert after(Appetite(), active=0.9, room=1.0, asked=8.0, seconds=1) > 8.0


def test_a_node_with_room_to_spare_wants_a_little_more_than_it_draws() -> None:
    assert 1.0 < after(Appetite(), active=1.0, room=4.0, asked=8.0, seconds=1) < 2.0


def test_a_pause_is_forgotten_slowly_and_a_burst_counts_at_once() -> None:
    hungry = Appetite(10.0)
    assert after(hungry, active=0.0, room=9.0, asked=0.0, seconds=1) > 7.0
    assert after(hungry, active=0.0, room=9.0, asked=0.0, seconds=30) < 0.1
    assert after(hungry, active=1.0, room=1.0, asked=20.0, seconds=0.5) > 20.0
