"""Which windows are answered, and in which order."""

from __future__ import annotations

from app.streaming.backlog import Backlog
from app.streaming.windower import Missed, Window


def window(number: int) -> Window:
    return Window(number, 0.0, 1.0, 0.0, {})


def filled(windows: int, *, running: int = 1, waiting: int = 2) -> Backlog[str]:
    backlog: Backlog[str] = Backlog(running, waiting)
    for number in range(1, windows + 1):
        backlog.add(window(number))
        while backlog.start():
            pass
    return backlog


def told(backlog: Backlog[str]) -> list[str | Missed]:
    replies = []
    while (reply := backlog.next()) is not None:
        replies.append(reply)
    return replies


def test_replies_come_in_order_however_the_work_ends() -> None:
    backlog = filled(2, running=2)
    backlog.finish(2, "two")
    assert told(backlog) == []
    backlog.finish(1, "one")
    assert told(backlog) == ["one", "two"]
    assert len(backlog) == 0


def test_no_more_are_worked_on_than_may_be() -> None:
    backlog = filled(3, running=2)
    assert backlog.start() is None
    backlog.finish(1, "one")
    assert backlog.start() is None, "its reply was not fetched"
    backlog.next()
    third = backlog.start()
    assert third is not None
    assert third.number == 3


def test_behind_the_oldest_that_waits_is_given_up_and_said_so() -> None:
    backlog = filled(6)
    backlog.finish(1, "one")
    assert told(backlog) == ["one", Missed(2, 4, "behind")]
    assert backlog.windows == 2


def test_windows_missed_one_after_another_are_told_in_one() -> None:
    backlog = filled(1)
    for number in range(2, 50):
        backlog.add(Missed(number, number, "no_sensor"))
    assert len(backlog) == 2


def test_a_backlog_never_grows_whatever_happens() -> None:
    backlog = filled(10_000)
    assert len(backlog) <= 1 + 2 + 1
