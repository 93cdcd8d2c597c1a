"""How fast a sensor may send."""

from __future__ import annotations

from app.streaming.pace import Pace


def test_a_burst_is_let_in_and_then_so_many_a_second() -> None:
    pace = Pace(10.0, burst=20, now_s=0.0)
    assert pace.allows(20, 0.0)
    pace.take(20)
    assert not pace.allows(1, 0.05)
    assert pace.allows(5, 0.5)


def test_time_without_samples_saves_up_no_more_than_a_burst() -> None:
    pace = Pace(10.0, burst=20, now_s=0.0)
    assert not pace.allows(21, 1000.0)
    assert pace.allows(20, 1000.0)


def test_asking_takes_nothing() -> None:
    pace = Pace(10.0, burst=20, now_s=0.0)
    assert pace.allows(20, 0.0)
    assert pace.allows(20, 0.0)
