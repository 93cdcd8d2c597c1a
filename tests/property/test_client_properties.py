"""Whatever a server or a proxy answers, the client says what it made of it in its own words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client import Answer, ClientError, ProtocolError, Retries, binary, native
from app.client.core import Surroundings, carry_out
from app.client.refusals import error_of
from app.client.wire import Call, Failure, Outcome, Reply, Send

NOW = datetime(2026, 3, 1, tzinfo=UTC)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = """
    id model model_name version model_version predictions plan receipt parameters outputs shape
    data top label index probability detail type error retry_after_s request_id met
"""
names = st.sampled_from(NAMES.split())
documents = st.recursive(
    scalars | st.just("0.5:1:a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8),
    max_leaves=20,
)
bodies = documents.map(lambda d: json.dumps(d).encode()) | st.binary(max_size=40)
headers = st.fixed_dictionaries(
    {}, optional={name: st.text(max_size=30) for name in ("retry-after", "date", "x-request-id")}
)
replies = st.builds(Reply, st.integers(100, 599), headers, bodies)
failures = st.builds(
    Failure, st.sampled_from(["unreached", "dropped", "cut", "timeout"]), st.text()
)
outcomes: st.SearchStrategy[Outcome] = replies | failures


@given(content=bodies)
def test_an_answer_is_read_or_not_understood(content: bytes) -> None:
    for decode in (native.decode, binary.decode):
        try:
            answer = decode(Reply(200, {}, content))
        except ProtocolError:
            continue
        assert isinstance(answer, Answer)


def test_an_answer_nested_too_deep_is_not_understood() -> None:
    for decode in (native.decode, binary.decode):
        with pytest.raises(ProtocolError):
            decode(Reply(200, {}, b"[" * 100_000))


@given(reply=replies)
def test_every_error_answer_has_an_exception_and_a_wait_that_makes_sense(reply: Reply) -> None:
    error = error_of(reply, NOW)
    assert isinstance(error, ClientError)
    assert error.status == reply.status
    assert str(error)
    assert error.refusal is not None
    assert error.refusal.retry_after_s is None or 0 <= error.refusal.retry_after_s < float("inf")


@given(
    script=st.lists(outcomes, max_size=12),
    each_s=st.floats(0, 3),
    deadline_s=st.floats(0.01, 10),
    attempts=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_a_call_ends_in_time_and_never_sends_more_often_than_allowed(
    script: list[Outcome], each_s: float, deadline_s: float, attempts: int, seed: int
) -> None:
    now_s, sent = 0.0, 0
    around = Surroundings(clock=lambda: now_s, wall_clock=lambda: NOW, random=Random(seed))
    call: Call[Any] = Call("POST", "/v1/infer", native.decode, latency_s=1.0)
    program = carry_out(
        call, deadline_s=deadline_s, retries=Retries(attempts=attempts), surroundings=around
    )
    coming, outcome = iter(script), None
    try:
        while True:
            effect = program.send(outcome)
            if isinstance(effect, Send):
                sent += 1
                assert 0 < effect.timeout_s <= deadline_s - now_s + 1e-9
                budget_s = float(effect.headers["X-Latency-Budget-Ms"]) / 1e3
                assert budget_s <= min(1.0, effect.timeout_s) * (1 + 1e-5)
                now_s += min(each_s, effect.timeout_s)
                outcome = next(coming, Failure("timeout", "silence"))
            else:
                assert now_s + effect.seconds < deadline_s
                now_s += effect.seconds
                outcome = None
    except (ClientError, StopIteration):
        pass
    assert sent <= attempts
    assert now_s <= deadline_s * (1 + 1e-9)
