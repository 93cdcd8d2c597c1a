from __future__ import annotations

import json

import grpc
import pytest

from app import errors
from app.api.errors import PROBLEMS
from app.rpc.status import CODES, message_of, metadata_of

HTTP_ONLY = {
    errors.TooSlowError,
    errors.UrlTooLongError,
    errors.HeadTooLargeError,
    errors.TooManyConnectionsError,
}
"""What goes wrong before there is a call is gRPC's own business."""


def test_every_error_that_a_client_can_cause_has_a_code() -> None:
    derived = {error for error in PROBLEMS if set(error.__mro__[1:]) & set(CODES)}
    assert set(PROBLEMS) - HTTP_ONLY - derived == set(CODES) - derived


def test_no_code_blames_the_service_for_what_a_client_did() -> None:
    blame = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
    assert not blame & set(CODES.values())


@pytest.mark.parametrize(
    ("retry_after_s", "milliseconds", "seconds"),
    [(0.2501, "251", "1"), (3, "3000", "3"), (0, "1", "1")],
)
def test_an_error_that_passes_says_when(
    retry_after_s: float, milliseconds: str, seconds: str
) -> None:
    metadata = dict(metadata_of(errors.ShedError("x", reason="busy", retry_after_s=retry_after_s)))
    assert metadata["grpc-retry-pushback-ms"] == milliseconds
    assert metadata["retry-after"] == seconds


def test_programs_get_the_same_facts_as_over_http() -> None:
    error = errors.BudgetError("too little", budget="latency", least=7.5)
    document = json.loads(dict(metadata_of(error))["sentryfuse-problem-bin"])
    assert document["type"] == "urn:sentryfuse:problem:impossible-budget"
    assert document["least"] == 7.5


def test_what_is_too_long_for_metadata_is_cut() -> None:
    error = errors.UnknownModelError("é" * 5000, models=["m" * 64] * 100)
    assert len(message_of(error)) == 1000
    assert len(dict(metadata_of(error))["sentryfuse-problem-bin"]) < 3000
