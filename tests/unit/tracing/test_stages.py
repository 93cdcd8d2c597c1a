from __future__ import annotations

import itertools

import pytest

from app.answering.answer import Company, Receipt, Step
from app.tracing import Stage, stages


def receipt(*, steps: int = 0, build_s: float = 0.0) -> Receipt:
    return Receipt(
        parse_s=0.001,
        build_s=build_s,
        queue_s=0.005,
        batch_wait_s=0.0005,
        inference_s=0.003,
        total_s=0.011,
        reading_j=0.0,
        inference_j=0.0,
        energy_source="null",
        energy_quality="modelled",
        budget=(),
        batch=Company(requests=1, windows=1, cores=1),
        steps=(Step("1f-000", 0.5, 0.0, 0.0),) * steps,
    )


def laid_out(made: Receipt, *, waited_s: float = 0.0) -> list[Stage]:
    return list(
        stages(made, began_s=99.9, received_s=100.0, waited_s=waited_s, first_byte_s=100.012)
    )


def test_stages_follow_each_other_without_a_gap_from_the_first_byte_to_the_last() -> None:
    found = laid_out(receipt(build_s=0.002), waited_s=0.002)
    assert (found[0].from_s, found[-1].to_s) == (99.9, 100.012)
    for before, after in itertools.pairwise(found):
        assert after.from_s == before.to_s


def test_each_stage_takes_what_the_receipt_says() -> None:
    took = {s.name: s.to_s - s.from_s for s in laid_out(receipt(), waited_s=0.002)}
    assert took == pytest.approx(
        {
            "receive": 0.1,
            "wait to be read": 0.002,
            "parse": 0.001,
            "queue": 0.003,
            "batch": 0.0005,
            "inference": 0.003,
            "answer": 0.0025,
        }
    )


def test_a_stage_that_took_no_time_is_left_out() -> None:
    names = [s.name for s in laid_out(receipt())]
    assert "build" not in names
    assert "wait to be read" not in names


def test_a_cascade_is_one_stage_between_reading_and_writing() -> None:
    found = laid_out(receipt(steps=2))
    assert [s.name for s in found] == ["receive", "parse", "cascade", "answer"]
    assert found[2].to_s - found[2].from_s == pytest.approx(0.0085)


def test_an_answer_never_ends_before_it_begins() -> None:
    (*_, last) = stages(receipt(), began_s=99.9, received_s=100.0, waited_s=0.0, first_byte_s=100.0)
    assert last.to_s >= last.from_s
