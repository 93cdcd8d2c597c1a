from __future__ import annotations

import numpy as np
import pytest

from app.answer import Receipt, Spending, probabilities, spendings, variant_name
from app.scheduling import Budget
from sentryfuse.presence import Presence


def test_probabilities_add_up_and_keep_their_order() -> None:
    logits = np.array([[1.0, 3.0, 2.0], [-1000.0, 1000.0, 0.0]], dtype=np.float32)
    rows = probabilities(logits)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(rows.argsort(axis=1), logits.argsort(axis=1))
    assert rows[1].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("spending", "met"),
    [
        (Spending("latency", 0.005, 0.004), True),
        (Spending("latency", 0.005, 0.006), False),
        (Spending("energy", 0.01, 0.01), True),
        (Spending("power", 5.0, 5.1), False),
        (Spending("accuracy", 0.8, 0.9), True),
        (Spending("accuracy", 0.8, 0.7), False),
    ],
)
def test_a_budget_is_met_by_less_but_an_accuracy_floor_by_more(
    spending: Spending, met: bool
) -> None:
    assert spending.met is met


def receipt(*budget: Spending) -> Receipt:
    return Receipt(
        parse_s=0,
        queue_s=0,
        build_s=0,
        inference_s=0,
        total_s=0,
        energy_j=0,
        energy_source="null",
        energy_quality="modelled",
        budget=budget,
    )


def test_a_receipt_is_met_when_every_budget_is() -> None:
    kept, missed = Spending("latency", 1, 0.5), Spending("energy", 1, 2)
    assert receipt().met
    assert receipt(kept).met
    assert not receipt(kept, missed).met


def test_only_budgets_that_were_given_are_accounted_for() -> None:
    budget = Budget(energy_j=0.5, accuracy_floor=0.7)
    spent = spendings(budget, latency_s=1, energy_j=0.4, power_w=9, accuracy=0.8)
    assert spent == (Spending("energy", 0.5, 0.4), Spending("accuracy", 0.7, 0.8))


def test_a_variant_is_named_by_presence_and_ratio() -> None:
    assert variant_name(Presence.full(5), 0) == "1f-000"
    assert variant_name(Presence.of([0], 9), 650) == "001-650"
