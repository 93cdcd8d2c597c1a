from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.bench.grid.measure import auroc, metrics


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    score, label = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])

    assert auroc(score, label) == pytest.approx(0.75)


def test_ties_count_half() -> None:
    assert auroc(np.zeros(6), np.array([0, 1, 0, 1, 1, 1])) == pytest.approx(0.5)


def test_recall_weighs_classes_alike_and_accuracy_windows() -> None:
    logits = np.array([[2, 1], [2, 1], [2, 1], [2, 1]], dtype=np.float32)

    scores = metrics(logits, np.array([0, 0, 0, 1]))

    assert (scores["accuracy"], scores["recall"]) == (0.75, 0.5)


def test_auroc_is_for_two_classes() -> None:
    logits = np.eye(3, dtype=np.float32)

    assert "auroc" not in metrics(logits, np.array([0, 1, 2]))
