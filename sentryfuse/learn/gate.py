"""SentryGate as a module: from presence bits to a score for each unit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sentryfuse.presence import Presence

# Scores start near sigmoid(2) = 0.88: with every unit wanted, early training is nearly dense.
_INITIAL_LOGIT = 2.0


class SentryGate(nn.Module):
    """Two-layer perceptron over the presence (SentryFuse, arXiv 2604.08971).

    Args:
        num_modalities: Presence bits M.
        num_units: Units U of the backbone's inventory.
        hidden_dim: Width of the shared trunk.
    """

    def __init__(self, *, num_modalities: int, num_units: int, hidden_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_modalities, hidden_dim)
        self.scores = nn.Linear(hidden_dim, num_units)
        nn.init.constant_(self.scores.bias, _INITIAL_LOGIT)

    def forward(self, presence: Presence) -> Tensor:
        """Score every unit for one presence, ``[num_units]`` in (0, 1)."""
        bits = torch.zeros(self.hidden.in_features)
        bits[list(presence)] = 1.0
        scores: Tensor = self.scores(self.hidden(bits).relu()).sigmoid()
        return scores

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays that :class:`sentryfuse.gate.Gate` reads.

        They are rounded to half precision, in which a bundle stores them, so that what is
        measured is what ships.
        """
        return {
            name: tensor.detach().half().float().numpy()
            for name, tensor in self.state_dict().items()
        }
