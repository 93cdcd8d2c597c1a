from __future__ import annotations

import json

import pytest

from app import errors
from app.api.errors import INTERNAL, PROBLEMS, problem_of, render, respond


def every_request_error(base: type[errors.RequestError]) -> set[type[errors.RequestError]]:
    return {base}.union(*(every_request_error(child) for child in base.__subclasses__()))


def test_every_error_that_a_client_can_cause_has_its_response() -> None:
    abstract = {errors.RequestError, errors.UnavailableError}
    assert every_request_error(errors.RequestError) - abstract == set(PROBLEMS)


def test_no_problem_is_a_server_fault_and_every_type_is_its_own() -> None:
    assert 500 not in {problem.status for problem in PROBLEMS.values()}
    assert len({problem.type for problem in PROBLEMS.values()}) == len(PROBLEMS)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.MalformedError("x"), 400),
        (errors.HeaderError("x"), 400),
        (errors.UnknownModelError("x"), 404),
        (errors.BodyTooLargeError("x"), 413),
        (errors.UnsupportedMediaError("x"), 415),
        (errors.WrongInputError("x", expected="a", received="b"), 422),
        (errors.BudgetError("x"), 422),
        (errors.ShedError("x", reason="busy", retry_after_s=0.2), 429),
        (errors.NotReadyError("x", retry_after_s=1), 503),
        (errors.DeadlineError("x"), 504),
    ],
)
def test_each_error_has_the_status_of_the_contract(error: errors.RequestError, status: int) -> None:
    assert problem_of(error).status == status


def test_a_problem_states_its_facts() -> None:
    error = errors.WrongInputError("bad", modality="torso", expected="[1, 2]", received="[1, 3]")
    response = respond(error)
    assert response.media_type == "application/problem+json"
    assert json.loads(response.body) == {
        "type": "urn:sentryfuse:problem:wrong-input",
        "title": "Windows do not fit the model",
        "status": 422,
        "detail": "bad",
        "modality": "torso",
        "expected": "[1, 2]",
        "received": "[1, 3]",
    }


@pytest.mark.parametrize(("seconds", "header"), [(0.01, "1"), (1.0, "1"), (2.1, "3")])
def test_retry_after_is_whole_seconds_rounded_up(seconds: float, header: str) -> None:
    response = respond(errors.ShedError("busy", reason="busy", retry_after_s=seconds))
    assert response.headers["retry-after"] == header


def test_a_missing_token_says_which_scheme_is_wanted() -> None:
    assert respond(errors.UnauthorisedError("x")).headers["www-authenticate"] == "Bearer"


def test_text_that_is_not_unicode_does_not_break_the_answer() -> None:
    content, _ = render(INTERNAL, "bad \ud800", {"modality": "\ud800"})
    assert json.loads(content)["status"] == 500


@pytest.mark.parametrize("path", ["/v2", "/v2/models/toy/infer", "/v2/no/such/thing"])
def test_the_open_inference_protocol_has_its_own_form_of_errors(path: str) -> None:
    error = errors.WrongInputError("bad", modality="torso", expected="[1, 2]", received="[1, 3]")
    response = respond(error, path)
    assert response.media_type == "application/json"
    content = json.loads(response.body)
    assert content["error"] == "bad"
    assert (content["status"], content["modality"]) == (422, "torso")
