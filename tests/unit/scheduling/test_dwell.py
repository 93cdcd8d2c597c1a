from __future__ import annotations

import math

import pytest

from app.scheduling.dwell import FrequencyGovernor, power_class


def governor(latency_s: float = 1e-4) -> FrequencyGovernor:
    return FrequencyGovernor(transition_latency_s=latency_s, now_s=0.0)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0.0, "high"), (0.34, "high"), (0.5, "medium"), (0.8, "low")]
)
def test_the_sparser_the_work_the_lower_its_class(ratio: float, expected: str) -> None:
    assert power_class(ratio) == expected


def test_a_choice_that_persists_for_the_dwell_time_is_asked_for_once() -> None:
    made = governor()

    asked = [made.update("low", second) for second in range(8)]

    assert asked == [None] * 5 + [0.4] + [None] * 2
    assert made.current == "low"


def test_a_choice_that_wavers_is_never_asked_for() -> None:
    made = governor()

    assert all(made.update("low" if s % 4 else "medium", s) is None for s in range(100))


def test_back_to_dense_work_the_cap_is_lifted() -> None:
    made = governor()
    for second in range(6):
        made.update("low", second)

    assert [made.update("high", 6 + second) for second in range(6)][-1] == 1.0


def test_a_slow_switch_takes_a_longer_dwell() -> None:
    assert governor(latency_s=0.02).dwell_s == 20.0


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_time_that_makes_no_sense_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="transition_latency_s must be finite"):
        governor(value)
