from __future__ import annotations

import pytest

from app.storage import Breaker
from sentryfuse.errors import ConfigError


def opened(threshold: int = 3, cooldown_s: float = 5.0, at_s: float = 100.0) -> Breaker:
    breaker = Breaker(threshold, cooldown_s)
    for _ in range(threshold):
        breaker.failed(at_s)
    return breaker


def test_a_fresh_breaker_lets_everything_through() -> None:
    breaker = Breaker()

    assert breaker.allows(0.0)
    assert not breaker.open


def test_it_opens_only_after_that_many_failures_in_a_row() -> None:
    breaker = Breaker(threshold=3)
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert breaker.allows(0.0)

    breaker.failed(0.0)

    assert breaker.open
    assert not breaker.allows(0.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(threshold=2)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(0.0)

    assert not breaker.open


def test_after_the_cooldown_one_probe_goes_through_and_no_second() -> None:
    breaker = opened(cooldown_s=5.0, at_s=100.0)

    assert not breaker.allows(104.9)
    assert breaker.allows(105.0)
    assert not breaker.allows(105.1)


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened(at_s=100.0)
    breaker.allows(105.0)
    breaker.succeeded()

    assert not breaker.open
    assert breaker.allows(105.0)


def test_a_probe_that_fails_opens_it_for_another_cooldown() -> None:
    breaker = opened(cooldown_s=5.0, at_s=100.0)
    breaker.allows(105.0)
    breaker.failed(106.0)

    assert not breaker.allows(110.9)
    assert breaker.allows(111.0)


def test_a_probe_that_never_reports_makes_way_for_the_next() -> None:
    breaker = opened(cooldown_s=5.0, at_s=100.0)
    breaker.allows(105.0)

    assert breaker.allows(110.0)


@pytest.mark.parametrize(("threshold", "cooldown_s"), [(0, 5.0), (3, 0.0), (3, float("nan"))])
def test_a_breaker_that_could_not_work_is_refused(threshold: int, cooldown_s: float) -> None:
    with pytest.raises(ConfigError, match="threshold >= 1 and cooldown_s > 0"):
        Breaker(threshold, cooldown_s)
