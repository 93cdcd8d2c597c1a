from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from app.client import (
    BudgetError,
    ConnectionFailedError,
    DeadlineError,
    OverloadedError,
    Retries,
    WrongInputError,
)
from app.client.core import LATENCY_HEADER, Surroundings, carry_out
from app.client.wire import Call, Failure, Outcome, Reply, Send

GOOD = Reply(200, {}, b"fine")
GONE = Failure("dropped", "the connection was closed")
CALL = Call("POST", "/v1/infer", lambda reply: reply.content.decode(), latency_s=0.2)


def refusal(status: int, **members: object) -> Reply:
    return Reply(status, {}, json.dumps(members).encode())


@dataclass
class Script:
    """Plays network and clock: each sending takes ``each_s`` and comes out as written."""

    outcomes: Iterable[Outcome]
    each_s: float = 0.01
    now_s: float = 100.0
    sent: list[Send] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def play(
        self, call: Call[str] = CALL, *, deadline_s: float = 10.0, retries: Retries | None = None
    ) -> str:
        surroundings = Surroundings(
            clock=lambda: self.now_s,
            wall_clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
            random=Random(0),
        )
        program = carry_out(
            call,
            deadline_s=deadline_s,
            retries=retries or Retries(),
            surroundings=surroundings,
        )
        outcomes, outcome = iter(self.outcomes), None
        try:
            while True:
                effect = program.send(outcome)
                if isinstance(effect, Send):
                    self.sent.append(effect)
                    self.now_s += self.each_s
                    outcome = next(outcomes)
                else:
                    self.waits.append(effect.seconds)
                    self.now_s += effect.seconds
                    outcome = None
        except StopIteration as end:
            result: Any = end.value
            return str(result)


def test_a_good_answer_is_read_and_nothing_is_sent_twice() -> None:
    script = Script([GOOD])
    assert script.play() == "fine"
    assert (len(script.sent), script.waits) == (1, [])


def test_a_dropped_connection_is_tried_again_after_a_moment() -> None:
    script = Script([GONE, GONE, GOOD])
    assert script.play() == "fine"
    assert 0.025 <= script.waits[0] <= 0.05 <= script.waits[1] <= 0.1


def test_retry_after_is_honoured() -> None:
    script = Script([refusal(429, retry_after_s=3.0), GOOD])
    assert script.play() == "fine"
    assert 3.0 <= script.waits[0] <= 3.3


def test_a_wait_beyond_the_deadline_is_the_callers_to_judge() -> None:
    script = Script([refusal(429, detail="too busy", retry_after_s=30.0)])
    with pytest.raises(OverloadedError, match="too busy") as caught:
        script.play(deadline_s=5)
    assert caught.value.retry_after_s == 30.0
    assert script.waits == []


def test_the_latency_budget_shrinks_to_what_is_left_of_the_deadline() -> None:
    script = Script([GONE, GONE, GOOD], each_s=0.05)
    script.play(deadline_s=0.3)
    budgets_ms = [float(send.headers[LATENCY_HEADER]) for send in script.sent]
    left_ms = [1e3 * send.timeout_s for send in script.sent]
    assert budgets_ms[0] == 200
    assert budgets_ms[2] == pytest.approx(left_ms[2], rel=1e-5)
    assert budgets_ms[2] < 200 < left_ms[0] == 300


def test_no_budget_is_sent_where_none_was_asked() -> None:
    script = Script([GOOD])
    script.play(replace(CALL, latency_s=None))
    assert LATENCY_HEADER not in script.sent[0].headers


def test_each_sending_may_take_what_is_left() -> None:
    script = Script([GONE] * 50, each_s=0.1)
    with pytest.raises(ConnectionFailedError):
        script.play(deadline_s=1.0, retries=Retries(attempts=100))
    spent = [1.0 - send.timeout_s for send in script.sent]
    assert spent == sorted(spent)
    assert script.now_s - 100 <= 1.1


def test_time_that_runs_out_is_a_deadline_error_and_a_timeout() -> None:
    with pytest.raises(DeadlineError, match=r"no answer within 2 s \(sent once\)") as caught:
        Script([Failure("timeout", "slow")]).play(deadline_s=2)
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(DeadlineError, match="sent 0 times"):
        Script([]).play(deadline_s=0)


def test_a_connection_that_stays_broken_is_told_after_the_last_attempt() -> None:
    script = Script([GONE] * 9)
    with pytest.raises(ConnectionFailedError, match=r"was closed \(sent 4 times\)") as caught:
        script.play()
    assert isinstance(caught.value, ConnectionError)
    assert len(script.sent) == 4


@pytest.mark.parametrize(
    ("slug", "kind"), [("impossible-budget", BudgetError), ("wrong-input", WrongInputError)]
)
def test_a_refusal_for_good_is_raised_at_once(slug: str, kind: type[Exception]) -> None:
    script = Script([refusal(422, type=f"urn:sentryfuse:problem:{slug}", detail="no")])
    with pytest.raises(kind, match=r"^no$"):
        script.play()
    assert len(script.sent) == 1
