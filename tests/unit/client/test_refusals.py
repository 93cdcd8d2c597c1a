from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.api.errors import PROBLEMS, Problem
from app.client import (
    BudgetError,
    ClientError,
    DeadlineError,
    ForbiddenError,
    NotReadyError,
    OverloadedError,
    ProtocolError,
    ServiceError,
    WrongInputError,
)
from app.client.refusals import BY_PROBLEM, BY_STATUS, error_of, parse_retry_after
from app.client.wire import Reply

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def answered(status: int, body: object = None, **headers: str) -> ClientError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of(
        Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, content), NOW
    )


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.slug)
def test_every_problem_of_the_service_has_its_exception(problem: Problem) -> None:
    error = answered(problem.status, {"type": problem.type, "detail": "no"})
    assert type(error) not in (ClientError, ProtocolError, ServiceError)
    assert problem.slug in BY_PROBLEM or problem.status in set(BY_STATUS) - {422}


def test_wrong_input_names_the_modality_in_the_words_of_the_service() -> None:
    error = answered(
        422,
        {
            "type": "urn:sentryfuse:problem:wrong-input",
            "detail": "torso: expected [125, 9]",
            "modality": "torso",
            "expected": "[125, 9]",
            "received": "[125, 8]",
            "request_id": "abc",
        },
    )
    assert isinstance(error, WrongInputError)
    assert str(error) == "torso: expected [125, 9]"
    assert (error.modality, error.expected, error.received) == ("torso", "[125, 9]", "[125, 8]")
    assert (error.status, error.request_id) == (422, "abc")


@pytest.mark.parametrize(
    ("facts", "least"),
    [
        ({"budget": "latency", "asked_ms": 1, "least_possible_ms": 4.5}, 4.5),
        ({"budget": "energy", "asked_mj": 1, "least_possible_mj": 7}, 7),
        ({"budget": "power", "asked_w": 1, "least_possible_w": 3.0}, 3.0),
        ({"budget": "accuracy", "asked": 1, "most_possible": 0.9}, 0.9),
    ],
)
def test_an_impossible_budget_says_the_least_it_could_be(
    facts: dict[str, object], least: float
) -> None:
    error = answered(422, {"type": "urn:sentryfuse:problem:impossible-budget", **facts})
    assert isinstance(error, BudgetError)
    assert (error.asked, error.least_possible) == (1, least)


def test_the_exact_figure_counts_more_than_the_header_in_whole_seconds() -> None:
    error = answered(429, {"retry_after_s": 0.25, "reason": "busy"}, retry_after="1")
    assert isinstance(error, OverloadedError)
    assert (error.retry_after_s, error.reason) == (0.25, "busy")


def test_another_protocols_error_is_told_by_its_status() -> None:
    error = answered(429, {"error": "too busy"}, retry_after="3", x_request_id="r-1")
    assert isinstance(error, OverloadedError)
    assert (str(error), error.retry_after_s, error.request_id) == ("too busy", 3.0, "r-1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ForbiddenError),
        (418, ProtocolError),
        (302, ProtocolError),
        (500, ServiceError),
        (503, NotReadyError),
        (504, DeadlineError),
        (599, ServiceError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b"[1]", b'{"detail": 7}'])
def test_a_proxys_error_page_does(status: int, kind: type[ClientError], body: bytes) -> None:
    error = answered(status, body)
    assert type(error) is kind
    assert str(error) == f"HTTP status {status}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


def test_a_date_is_reckoned_by_the_clock_of_who_sent_it() -> None:
    error = answered(
        503,
        retry_after="Sun, 01 Mar 2031 00:00:05 GMT",
        date="Sun, 01 Mar 2031 00:00:00 GMT",
    )
    assert isinstance(error, NotReadyError)
    assert error.retry_after_s == 5.0
