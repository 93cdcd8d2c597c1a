from __future__ import annotations

import numpy as np
import pytest

from app.answering.answer import (
    Company,
    Receipt,
    Spending,
    Step,
    probabilities,
    spendings,
    variant_name,
)
from app.answering.missed import why_missed
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


def receipt(*budget: Spending, steps: int = 1, **parts: float) -> Receipt:
    stages = dict.fromkeys(("parse_s", "queue_s", "build_s", "batch_wait_s", "inference_s"), 0.0)
    joules = {"reading_j": 0.0, "inference_j": 0.0}
    given: dict[str, float] = {"total_s": 0.0, **stages, **joules, **parts}
    return Receipt(
        energy_source="null",
        energy_quality="modelled",
        budget=budget,
        batch=Company(requests=3, windows=4, cores=1),
        steps=(Step("1f-000", 0.5, 0.0, 0.0),) * steps,
        **given,
    )


def test_a_receipt_is_met_when_every_budget_is() -> None:
    kept, missed = Spending("latency", 1, 0.5), Spending("energy", 1, 2)
    assert receipt().met
    assert receipt(kept).met
    assert not receipt(kept, missed).met


def test_what_a_receipt_says_was_spent_adds_up() -> None:
    made = receipt(total_s=0.010, parse_s=0.001, queue_s=0.003, inference_s=0.005)
    assert made.answering_s == pytest.approx(0.001)
    assert receipt(reading_j=0.25, inference_j=0.5).energy_j == 0.75


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("parse_s", "7 ms of it went into reading the request"),
        ("build_s", "7 ms of it went into building the variant"),
        ("queue_s", "7 ms of it in the queue"),
        ("batch_wait_s", "7 ms of it went into putting the batch together"),
        ("inference_s", "7 ms of it was inference, shared with 2 more"),
    ],
)
def test_a_missed_latency_budget_names_the_stage_that_ate_it(stage: str, words: str) -> None:
    made = receipt(Spending("latency", 0.009, 0.010), total_s=0.010, **{stage: 0.007})
    assert why_missed(made) == f"took 10 ms of 9 ms: {words}"


def test_a_late_answer_that_no_stage_accounts_for_was_late_in_writing() -> None:
    made = receipt(Spending("latency", 0.001, 0.010), total_s=0.010)
    assert "10 ms of it went into deciding and writing" in (why_missed(made) or "")


def test_a_missed_energy_budget_names_what_cost_most() -> None:
    made = receipt(Spending("energy", 0.1, 0.75), reading_j=0.5, inference_j=0.25)
    assert why_missed(made) == "cost 750 mJ of 100 mJ: 500 mJ of it went into reading the request"


def test_every_missed_budget_gets_its_sentence_and_the_others_none() -> None:
    missed = Spending("power", 5.0, 6.0), Spending("accuracy", 0.9, 0.8)
    words = why_missed(receipt(*missed, Spending("energy", 1.0, 0.5))) or ""
    assert "6 W of 5 W" in words
    assert "0.800 expected of 0.900" in words
    assert len(words.split("; ")) == 2
    assert why_missed(receipt(Spending("energy", 1.0, 0.5))) is None


def test_only_budgets_that_were_given_are_accounted_for() -> None:
    budget = Budget(energy_j=0.5, accuracy_floor=0.7)
    spent = spendings(budget, latency_s=1, energy_j=0.4, power_w=9, accuracy=0.8)
    assert spent == (Spending("energy", 0.5, 0.4), Spending("accuracy", 0.7, 0.8))


def test_a_variant_is_named_by_presence_and_ratio() -> None:
    assert variant_name(Presence.full(5), 0) == "1f-000"
    assert variant_name(Presence.of([0], 9), 650) == "001-650"


def test_logits_whose_squares_are_too_large_are_numbers_all_the_same() -> None:
    assert probabilities(np.array([[3e30, 0.0]], dtype=np.float32)).tolist() == [[1.0, 0.0]]
