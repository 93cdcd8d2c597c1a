from __future__ import annotations

import pytest

from app.client import (
    BudgetError,
    ClientError,
    NotReadyError,
    OverloadedError,
    Refusal,
    Retries,
    UnavailableError,
)
from app.client.wire import Failure

RETRIES = Retries(attempts=3, first_wait_s=0.1, longest_wait_s=0.3)
DROPPED = Failure("dropped", "gone")


def overloaded(retry_after_s: float | None) -> OverloadedError:
    return OverloadedError("busy", Refusal(429, retry_after_s=retry_after_s))


@pytest.mark.parametrize(
    "trouble",
    [
        overloaded(None),
        NotReadyError("draining", Refusal(503)),
        Failure("unreached", "refused"),
        DROPPED,
        UnavailableError("bad gateway", Refusal(502)),
    ],
)
def test_what_did_no_harm_is_tried_again(trouble: ClientError | Failure) -> None:
    assert RETRIES.wait_s(trouble, attempt=1, left_s=9, chance=0.5) == pytest.approx(0.075)


@pytest.mark.parametrize(
    "trouble",
    [
        BudgetError("impossible", Refusal(422)),
        Failure("timeout", "slow"),
        Failure("cut", "half an answer"),
    ],
)
def test_what_would_not_get_better_is_not(trouble: ClientError | Failure) -> None:
    assert RETRIES.wait_s(trouble, attempt=1, left_s=9, chance=0.5) is None


@pytest.mark.parametrize("trouble", [DROPPED, UnavailableError("bad gateway", Refusal(502))])
def test_what_may_have_been_done_is_repeated_only_if_twice_is_as_good_as_once(
    trouble: ClientError | Failure,
) -> None:
    assert RETRIES.wait_s(trouble, attempt=1, left_s=9, chance=0, repeatable=False) is None


def test_what_never_reached_the_service_may_always_be_repeated() -> None:
    trouble = Failure("unreached", "refused")
    assert RETRIES.wait_s(trouble, attempt=1, left_s=9, chance=0, repeatable=False) is not None


def test_the_last_attempt_is_the_last() -> None:
    assert RETRIES.wait_s(DROPPED, attempt=2, left_s=9, chance=0) is not None
    assert RETRIES.wait_s(DROPPED, attempt=3, left_s=9, chance=0) is None


def test_waits_double_up_to_the_longest() -> None:
    patient = Retries(attempts=99, first_wait_s=0.1, longest_wait_s=0.3)
    waits = [patient.wait_s(DROPPED, attempt=n, left_s=9, chance=1) for n in (1, 2, 3, 60)]
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_the_service_is_given_the_time_it_asks_for_and_never_less() -> None:
    waits = [RETRIES.wait_s(overloaded(2.0), attempt=1, left_s=9, chance=c) for c in (0, 1)]
    assert waits == pytest.approx([2.0, 2.2])


def test_a_wait_that_would_use_up_the_deadline_is_not_begun() -> None:
    assert RETRIES.wait_s(overloaded(2.0), attempt=1, left_s=2.0, chance=0) is None
    assert RETRIES.wait_s(DROPPED, attempt=1, left_s=0.05, chance=0) is None


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="attempts must be at least 1, got 0"):
        Retries(attempts=0)
    with pytest.raises(ValueError, match="first_wait_s <= longest_wait_s, got 3 and 2"):
        Retries(first_wait_s=3, longest_wait_s=2)
