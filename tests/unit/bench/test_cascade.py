from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.bench.cascade import (
    Answers,
    Cascade,
    Costs,
    Outcome,
    as_they_are,
    between,
    calibration_error,
    drawn_again,
    front,
    gains,
    gains_within,
    play,
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
    draws = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert outcome.means(EVERYTHING, draws)[0].tolist() == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("cost", "accuracy"), [(1, 0.8), (2, 0.875), (2.5, 0.9125), (9, 0.95), (0.5, -np.inf)]
)
def test_the_front_is_the_concave_hull_of_single_variants(cost: float, accuracy: float) -> None:
    points = [(1.0, 0.8), (2.0, 0.85), (3.0, 0.95), (4.0, 0.9), (1.0, 0.7)]
    assert front(points, cost) == pytest.approx(accuracy)


def test_mixing_neighbours_leaves_no_variant_out() -> None:
    points = [(2.0, 0.85), (1.0, 0.8), (3.0, 0.95), (4.0, 0.9)]
    assert [between(points, c) for c in (0.5, 1.5, 2.0, 3.5, 9.0)] == pytest.approx(
        [-np.inf, 0.825, 0.85, 0.925, 0.9]
    )


def test_single_variants_gain_nothing_over_their_front() -> None:
    singles = [play(Cascade((i,)), ANSWERS, COSTS) for i in range(2)]
    draws = drawn_again(singles[0], 5)
    for single in singles:
        assert (gains(single, singles, EVERYTHING, draws) <= 0).all()
    assert gains(singles[1], singles, EVERYTHING, as_they_are(singles[1]), "flops") == 0.0


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
    once = as_they_are(cascade)
    assert gains(cascade, singles, EVERYTHING, once) > 0.2
    assert gains_within(cascade, singles, once) == pytest.approx(0.0)


def test_drawing_again_keeps_the_number_of_recordings() -> None:
    outcome = Outcome(np.ones(7), *[np.ones((1, 7))] * 4)
    draws = drawn_again(outcome, 20)
    assert draws.shape == (20, 7)
    assert (draws.sum(axis=1) == 7).all()
    assert (draws != 1).any()


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    hit = np.array([True, True, True, False])
    assert calibration_error(hit, np.full(4, 0.75, np.float32)) == pytest.approx(0.0)
    assert calibration_error(hit, np.full(4, 0.95, np.float32)) == pytest.approx(0.2)
    # Too sure in one bin and too unsure in another do not cancel.
    assert calibration_error(hit, np.array([0.5, 0.5, 0.5, 0.9], np.float32)) == pytest.approx(0.6)
