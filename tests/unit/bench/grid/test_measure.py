from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.bench.grid.measure import auroc, metrics

EVEN = np.ones(3)


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    score, label = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])

    assert auroc(score, label) == pytest.approx(0.75)


def test_ties_count_half() -> None:
    assert auroc(np.zeros(6), np.array([0, 1, 0, 1, 1, 1])) == pytest.approx(0.5)


def test_recall_weighs_classes_alike_and_accuracy_windows() -> None:
    logits = np.array([[2, 1], [2, 1], [2, 1], [2, 1]], dtype=np.float32)

    scores = metrics(logits, np.array([0, 0, 0, 1]), EVEN[:2])

    assert (scores["accuracy"], scores["recall"]) == (0.75, 0.5)


def test_balanced_accuracy_is_of_answers_that_count_classes_as_equally_likely() -> None:
    # The second window says "twice as likely the first class", which is three times as common.
    logits = np.log([[0.9, 0.1], [2 / 3, 1 / 3]]).astype(np.float32)

    scores = metrics(logits, np.array([0, 1]), np.array([0.75, 0.25]))

    assert (scores["recall"], scores["balanced_accuracy"]) == (0.5, 1.0)


def test_macro_f1_is_the_mean_of_harmonic_means_of_precision_and_recall() -> None:
    answers = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1, 0]]

    scores = metrics(answers, np.array([0, 0, 0, 1, 1, 2]), EVEN)

    first = 2 * (2 / 3) * (2 / 3) / (2 / 3 + 2 / 3)
    second = 2 * (2 / 3) * 1 / (2 / 3 + 1)
    assert scores["f1"] == pytest.approx((first + second + 0) / 3, abs=1e-5)


def test_auroc_is_for_two_classes() -> None:
    logits = np.eye(3, dtype=np.float32)

    assert "auroc" not in metrics(logits, np.array([0, 1, 2]), EVEN)
