from __future__ import annotations

import pytest

from app.scheduling import Budget, NodeState, VariantCost, plan
from app.scheduling.types import Limit
from app.scheduling.wording import quantity, why_chosen

OPTION = VariantCost(
    permille=800, flops=1, latency_s=3.1e-3, energy_j=0.012, expected_accuracy=0.8612
)


def reason(budget: Budget, node: NodeState | None = None) -> str:
    return plan([OPTION], budget, node or NodeState()).reason


def test_a_plan_without_budgets_says_so() -> None:
    assert reason(Budget()) == "rho 0.8: most accurate variant (0.861), no budget was given"


def test_a_plan_that_fits_gives_asked_and_expected_of_every_budget() -> None:
    assert reason(Budget(latency_s=5e-3, energy_j=0.04)) == (
        "rho 0.8: most accurate variant (0.861) "
        "expected within 5 ms (3.1 ms) and within 40 mJ (12 mJ)"
    )


def test_the_floor_the_power_budget_and_the_cap_are_named() -> None:
    node = NodeState(idle_power_w=3.0, power_cap_w=15.0)

    assert reason(Budget(accuracy_floor=0.8, power_w=10), node) == (
        "rho 0.8: most accurate variant (0.861) expected at least 0.800 accurate (0.861), "
        "within 10 W (3.01 W) and under the node's cap of 15 W (3.01 W)"
    )


def test_a_plan_that_misses_says_what_decided_and_what_is_missed() -> None:
    assert reason(Budget(latency_s=2e-3, energy_j=0.01, accuracy_floor=0.9)) == (
        "rho 0.8: fastest variant, but 3.1 ms is expected where 2 ms was asked, "
        "an accuracy of 0.861 is expected where 0.900 was asked "
        "and 12 mJ is expected where 10 mJ was asked"
    )


@pytest.mark.parametrize("company", [{"requests": 4}, {"queued": 3}])
def test_who_is_late_for_others_is_told_so(company: dict[str, int]) -> None:
    late = Limit("latency", 0.002, 0.0031, missed=True)
    assert "variant that leaves the fewest late, but" in why_chosen(800, 0.9, [late], **company)


def test_a_plan_that_misses_one_budget_says_which_others_it_keeps() -> None:
    assert reason(Budget(latency_s=5e-3, energy_j=0.01)) == (
        "rho 0.8: variant of least energy expected within 5 ms (3.1 ms), "
        "but 12 mJ is expected where 10 mJ was asked"
    )


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("latency", 2.5, "2.5 s"),
        ("latency", 0.0031, "3.1 ms"),
        ("energy", 1234.0, "1234 J"),
        ("power", 0.5, "0.5 W"),
        ("cap", 1500.4, "1500 W"),
    ],
)
def test_quantities_carry_a_unit_of_handy_size(kind: str, value: float, text: str) -> None:
    assert quantity(kind, value) == text  # type: ignore[arg-type]
