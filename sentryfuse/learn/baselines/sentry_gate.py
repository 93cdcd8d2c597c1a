"""SentryGate, ours, behind the same protocol as the baselines."""

from __future__ import annotations

import numpy as np
import torch

from sentryfuse.errors import ConfigError
from sentryfuse.gate import Gate
from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray, Inventory


class GateScorer:
    """Scores that a trained gate gives for the presence; reads no data at all.

    Args:
        gate: As a bundle stores it.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score by the gate.

        Raises:
            ConfigError: The gate is of another model.
        """
        if self._gate.num_units != inventory.num_units:
            raise ConfigError(
                f"gate scores {self._gate.num_units} units, the model has {inventory.num_units}"
            )
        return self._gate.scores(presence).astype(np.float64)
