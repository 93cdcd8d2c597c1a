from __future__ import annotations

import pytest

from app.storage import Breaker
from sentryfuse.errors import ConfigError


def opened(threshold: int = 3) -> Breaker:
    breaker = Breaker(threshold)
    for _ in range(threshold):
        breaker.failed()
    return breaker


def test_a_fresh_breaker_is_closed() -> None:
    assert not Breaker().open


def test_it_opens_only_after_that_many_failures_in_a_row() -> None:
    breaker = Breaker(threshold=3)
    breaker.failed()
    breaker.failed()
    assert not breaker.open

    breaker.failed()

    assert breaker.open


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(threshold=2)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()

    assert not breaker.open


def test_it_stays_open_until_an_answer_is_reported() -> None:
    breaker = opened()
    breaker.failed()
    assert breaker.open

    breaker.succeeded()

    assert not breaker.open


def test_once_closed_it_takes_all_failures_again_to_open_it() -> None:
    breaker = opened(threshold=3)
    breaker.succeeded()
    breaker.failed()
    breaker.failed()

    assert not breaker.open


def test_it_can_be_opened_at_once() -> None:
    breaker = Breaker()
    breaker.trip()

    assert breaker.open


def test_a_breaker_that_could_not_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold >= 1"):
        Breaker(0)
