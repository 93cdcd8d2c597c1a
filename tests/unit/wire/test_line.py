from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.wire.line import HeadMemo, Line

DATE = (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")
LENGTH = (b"content-length", b"2")


class Kept:
    """In place of a request's cycle and all that it holds."""

    def __init__(self, **facts: Any) -> None:
        self.written: list[bytes] = []
        self.answered = 0
        self.resumed = 0
        self.transport = SimpleNamespace(write=self.written.append)
        self.flow = SimpleNamespace(write_paused=False, resume_reading=self._resume)
        self.message_event = SimpleNamespace(set=lambda: None)
        self.default_headers = [DATE]
        self.disconnected = self.response_started = self.response_complete = False
        self.waiting_for_100_continue = self.access_log = False
        self.keep_alive = True
        self.__dict__.update(facts)

    def on_response(self) -> None:
        self.answered += 1

    def _resume(self) -> None:
        self.resumed += 1


def line(kept: Kept, memo: HeadMemo | None = None) -> Line:
    return Line(cast(Any, kept), memo or HeadMemo())


def test_an_answer_is_written_whole() -> None:
    kept = Kept()

    assert line(kept).answer([LENGTH], b"{}")
    (whole,) = kept.written
    assert whole == (
        b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert kept.response_started
    assert kept.response_complete
    assert kept.answered == 1


@pytest.mark.parametrize(
    "fact",
    [
        {"disconnected": True},
        {"response_started": True},
        {"waiting_for_100_continue": True},
        {"keep_alive": False},
        {"access_log": True},
        {"flow": SimpleNamespace(write_paused=True)},
        {"default_headers": [DATE, (b"connection", b"close")]},
    ],
)
def test_where_more_must_be_thought_of_nothing_is_written(fact: dict[str, Any]) -> None:
    kept = Kept(**fact)

    assert not line(kept).answer([LENGTH], b"{}")
    assert not kept.written
    assert not kept.answered


def test_a_header_that_the_server_adds_to_its_list_is_seen() -> None:
    kept, memo = Kept(), HeadMemo()
    assert memo.begin(kept.default_headers) is not None
    kept.default_headers.append((b"connection", b"close"))

    assert not line(kept, memo).answer([LENGTH], b"{}")


def test_who_watches_is_told_once_that_the_client_has_left() -> None:
    told: list[int] = []
    watched = line(Kept())
    watched.watch(lambda: told.append(1))
    watched.left()
    watched.left()

    assert told == [1]


def test_who_watches_no_more_is_not_told() -> None:
    told: list[int] = []
    watched = line(Kept())
    watched.watch(lambda: told.append(1))
    watched.watch(None)
    watched.left()

    assert not told


def test_of_a_client_that_had_left_before_it_is_told_at_once() -> None:
    told: list[int] = []
    gone = Kept(disconnected=True)
    line(gone).watch(lambda: told.append(1))

    assert told == [1]
    assert gone.resumed == 1
