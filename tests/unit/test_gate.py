from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError
from sentryfuse.gate import Gate
from sentryfuse.presence import Presence


def arrays() -> dict[str, np.ndarray]:
    return {
        "hidden.weight": np.array([[1.0, -1.0], [0.0, 2.0]], dtype=np.float32),
        "hidden.bias": np.array([0.5, -1.0], dtype=np.float32),
        "scores.weight": np.array([[1.0, 0.0], [0.0, 1.0], [-100.0, 0.0]], dtype=np.float32),
        "scores.bias": np.zeros(3, dtype=np.float32),
    }


def test_scores_are_the_sigmoid_of_a_two_layer_perceptron() -> None:
    scores = Gate.from_arrays(arrays()).scores(Presence(0b01, 2))
    expected = 1 / (1 + np.exp(-np.array([1.5, 0.0])))
    np.testing.assert_allclose(scores[:2], expected, rtol=1e-6)


def test_extreme_logits_do_not_overflow() -> None:
    scores = Gate.from_arrays(arrays()).scores(Presence(0b01, 2))
    assert 0.0 <= scores[2] < 1e-6


def test_a_gate_that_lacks_an_array_is_refused() -> None:
    incomplete = arrays()
    del incomplete["scores.bias"]
    with pytest.raises(ConfigError, match=r"scores\.bias"):
        Gate.from_arrays(incomplete)


def test_a_gate_whose_arrays_do_not_fit_is_refused() -> None:
    wrong = arrays() | {"scores.bias": np.zeros(4, dtype=np.float32)}
    with pytest.raises(ConfigError, match="do not fit"):
        Gate.from_arrays(wrong)
