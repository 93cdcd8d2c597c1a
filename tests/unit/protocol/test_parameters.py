from __future__ import annotations

import pytest

from app.errors import WrongFieldError
from app.protocol.budgets import BudgetRequest, parse_budget, with_parameters
from app.protocol.tensors import Parameter
from app.scheduling import Budget

NOTHING = parse_budget([])


def wanted(**parameters: Parameter) -> BudgetRequest:
    return with_parameters(NOTHING, parameters)


def test_no_parameter_changes_nothing() -> None:
    assert wanted() == NOTHING
    assert wanted(priority=1, binary_data_output=True, sequence_id=7) == NOTHING


def test_each_budget_comes_out_in_base_units() -> None:
    asked = wanted(
        latency_budget_ms=5, energy_budget_mj="2.5e1", power_budget_w=7.5, accuracy_floor=".8"
    )
    assert asked.budget == Budget(
        latency_s=0.005, energy_j=0.025, power_w=7.5, accuracy_floor=0.8, strict=False
    )


def test_a_timeout_is_in_microseconds_and_none_if_zero() -> None:
    assert wanted(timeout=2500).budget.latency_s == pytest.approx(0.0025)
    assert wanted(timeout=0) == NOTHING
    assert wanted(timeout="0") == NOTHING


def test_the_stricter_of_header_and_parameter_counts() -> None:
    headers = parse_budget(
        [
            (b"x-latency-budget-ms", b"5"),
            (b"x-accuracy-floor", b"0.7"),
            (b"x-energy-budget-mj", b"10"),
        ]
    )
    asked = with_parameters(
        headers,
        {"latency_budget_ms": 8, "timeout": 4000, "accuracy_floor": 0.6, "energy_budget_mj": 2},
    )
    assert asked.budget.latency_s == pytest.approx(0.004)
    assert asked.budget.accuracy_floor == 0.7
    assert asked.budget.energy_j == pytest.approx(0.002)


@pytest.mark.parametrize("both", [("strict", "lenient"), ("lenient", "strict")])
def test_strict_wins_over_lenient(both: tuple[str, str]) -> None:
    header, parameter = both
    headers = parse_budget([(b"prefer", f"handling={header}".encode())])
    asked = with_parameters(headers, {"handling": parameter})
    assert asked.budget.strict
    assert asked.handling == "strict"


def test_a_header_stays_strict_when_parameters_say_nothing_about_it() -> None:
    headers = parse_budget([(b"prefer", b"handling=strict")])
    assert with_parameters(headers, {"latency_budget_ms": 5}).budget.strict


def test_parameters_leave_other_preferences_as_they_are() -> None:
    headers = parse_budget([(b"prefer", b"return=minimal")])
    assert with_parameters(headers, {"handling": "strict"}).applied == (
        "handling=strict, return=minimal"
    )


def test_the_least_energy_can_be_preferred_in_either_place() -> None:
    assert wanted(energy="least").applied == "energy=least"
    headers = parse_budget([(b"prefer", b"energy=least")])
    assert with_parameters(headers, {"accuracy_floor": 0.9}).budget == Budget(
        accuracy_floor=0.9, least_energy=True
    )


def test_a_cascade_can_be_asked_for() -> None:
    assert wanted(cascade=0.9).cascade == 0.9
    assert wanted(cascade="0.9").cascade == 0.9


BAD: list[tuple[str, Parameter]] = [
    (name, value)
    for name in ("latency_budget_ms", "energy_budget_mj", "power_budget_w", "timeout")
    for value in (-1, "abc", "", True, float("nan"), float("inf"), 10**400, "1_0", "\ud800", "ü")
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *BAD,
        ("latency_budget_ms", 0),
        ("accuracy_floor", 1.5),
        ("accuracy_floor", 0),
        ("handling", "loose"),
        ("handling", True),
        ("energy", "most"),
        ("energy", 5),
        ("cascade", 1),
        ("cascade", 0),
        ("cascade", "high"),
    ],
)
def test_a_parameter_without_a_usable_value_is_named(name: str, value: Parameter) -> None:
    with pytest.raises(WrongFieldError, match=f"parameter {name} must be ") as caught:
        wanted(**{name: value})
    assert caught.value.facts["field"] == f"parameters.{name}"
