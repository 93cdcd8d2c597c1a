"""Scores of every unit for a presence, from a trained SentryGate's weights, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence

_SHAPES = "hidden.weight [h, M], hidden.bias [h], scores.weight [U, h], scores.bias [U]"


@dataclass(frozen=True)
class Gate:
    """SentryGate: one hidden layer from the presence bits to a score for each unit.

    ``score = sigmoid(W2 relu(W1 m + b1) + b2)`` with m the presence as zeros and ones
    (SentryFuse, arXiv 2604.08971). Needs no data, labels or gradients.
    """

    hidden_weight: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    score_weight: NDArray[np.float32]
    score_bias: NDArray[np.float32]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Gate:
        """Read the arrays of a trained gate.

        Raises:
            ConfigError: An array is missing or the shapes do not fit together.
        """
        try:
            gate = cls(
                arrays["hidden.weight"],
                arrays["hidden.bias"],
                arrays["scores.weight"],
                arrays["scores.bias"],
            )
        except KeyError as error:
            raise ConfigError(f"gate lacks {error}; it needs {_SHAPES}") from error
        hidden, units = len(gate.hidden_bias), len(gate.score_bias)
        if gate.hidden_weight.shape[0] != hidden or gate.score_weight.shape != (units, hidden):
            raise ConfigError(f"gate arrays do not fit together; it needs {_SHAPES}")
        return gate

    @property
    def num_modalities(self) -> int:
        """Presence bits that the gate reads."""
        return int(self.hidden_weight.shape[1])

    @property
    def num_units(self) -> int:
        """Length of a score vector."""
        return len(self.score_bias)

    def scores(self, presence: Presence) -> NDArray[np.float32]:
        """Score every unit for this presence, ``[num_units]`` in (0, 1); more is more needed."""
        bits = np.zeros(self.num_modalities, dtype=np.float32)
        bits[list(presence)] = 1.0
        hidden = np.maximum(self.hidden_weight @ bits + self.hidden_bias, 0.0)
        logits = self.score_weight @ hidden + self.score_bias
        # The tanh form cannot overflow, whatever the logits.
        scores: NDArray[np.float32] = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
        return scores
