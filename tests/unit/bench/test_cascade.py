from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.bench.cascade import (
    Answers,
    Cascade,
    Costs,
    calibration_error,
    front,
    gain,
    gain_within,
    play,
    resampled,
)

EVERYTHING = slice(None)
# One presence, a small and a big variant, four windows of two recordings.
ANSWERS = Answers(
    hit=np.array([[[True, False, False, True], [True, True, False, False]]]),
    top=np.array([[[0.9, 0.4, 0.4, 0.4], [0.9, 0.9, 0.5, 0.5]]], dtype=np.float32),
    recording=np.array([0, 0, 1, 1]),
)
COSTS = Costs(np.array([[1.0, 10.0]]), np.array([[2.0, 30.0]]), decide_seconds=0.5)


def test_a_cascade_answers_with_the_bigger_variant_where_the_smaller_is_unsure() -> None:
    point = play(Cascade((0, 1), 0.5), ANSWERS, COSTS).mean(EVERYTHING)
    assert point.accuracy == 2 / 4  # right, put right, still wrong, made wrong
    assert point.escalated == 3 / 4
    assert point.seconds == pytest.approx(1.0 + 0.5 + 0.75 * 10.0)
    assert point.flops == pytest.approx(2.0 + 0.75 * 30.0)


def test_a_single_variant_is_a_cascade_that_decides_nothing() -> None:
    point = play(Cascade((1,)), ANSWERS, COSTS).mean(EVERYTHING)
    assert (point.accuracy, point.seconds, point.flops, point.escalated) == (0.5, 10.0, 30.0, 0.0)


def test_a_third_stage_runs_only_where_both_before_it_are_unsure() -> None:
    three = Answers(
        hit=np.array([[[True], [False], [True]]] * 2).reshape(2, 3, 1),
        top=np.array([[[0.1], [0.9], [0.9]], [[0.1], [0.1], [0.9]]], dtype=np.float32),
        recording=np.array([0]),
    )
    costs = Costs(np.array([[1.0, 2.0, 4.0]] * 2), np.ones((2, 3)), decide_seconds=0.25)
    outcome = play(Cascade((0, 1, 2), 0.5), three, costs)
    assert outcome.mean(slice(0, 1)).seconds == 1 + 2 + 2 * 0.25
    assert outcome.mean(slice(1, 2)).seconds == 1 + 2 + 4 + 2 * 0.25
    assert outcome.mean(EVERYTHING).accuracy == 0.5


def test_a_recording_counts_as_often_as_it_was_drawn() -> None:
    outcome = play(Cascade((1,)), ANSWERS, COSTS)
    assert outcome.mean(EVERYTHING, np.array([2.0, 0.0])).accuracy == 1.0
    assert outcome.mean(EVERYTHING, np.array([0.0, 1.0])).accuracy == 0.0


@pytest.mark.parametrize(
    ("cost", "accuracy"), [(1, 0.8), (2, 0.875), (2.5, 0.9125), (9, 0.95), (0.5, -np.inf)]
)
def test_the_front_is_the_concave_hull_of_single_variants(cost: float, accuracy: float) -> None:
    points = [(1.0, 0.8), (2.0, 0.85), (3.0, 0.95), (4.0, 0.9), (1.0, 0.7)]
    assert front(points, cost) == pytest.approx(accuracy)


def test_single_variants_gain_nothing_over_their_front() -> None:
    singles = [play(Cascade((i,)), ANSWERS, COSTS) for i in range(2)]
    assert max(gain(single, singles) for single in singles) == 0.0
    assert gain(singles[1], singles, axis="flops") == 0.0


def test_spending_more_on_one_presence_is_no_gain_within_presences() -> None:
    # The big variant helps the second presence alone; it runs there and never on the first.
    answers = Answers(
        hit=np.array([[[True], [True]], [[False], [True]]]),
        top=np.array([[[0.9], [0.9]], [[0.1], [0.9]]], dtype=np.float32),
        recording=np.array([0]),
    )
    costs = Costs(np.array([[1.0, 10.0]] * 2), np.ones((2, 2)), decide_seconds=0.0)
    singles = [play(Cascade((i,)), answers, costs) for i in range(2)]
    cascade = play(Cascade((0, 1), 0.5), answers, costs)
    assert gain(cascade, singles) > 0.2
    assert gain_within(cascade, singles) == pytest.approx(0.0)


def test_drawing_again_keeps_the_number_of_recordings() -> None:
    assert {float(w.sum()) for w in resampled(7, 20)} == {7.0}


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    hit = np.array([True, True, True, False])
    assert calibration_error(hit, np.full(4, 0.75, np.float32)) == pytest.approx(0.0)
    assert calibration_error(hit, np.full(4, 0.95, np.float32)) == pytest.approx(0.2)
    # Too sure in one bin and too unsure in another do not cancel.
    assert calibration_error(hit, np.array([0.5, 0.5, 0.5, 0.9], np.float32)) == pytest.approx(0.6)
