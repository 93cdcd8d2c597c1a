"""First-order Taylor expansion of the loss (Molchanov et al. 2017, arXiv 1611.06440)."""

from __future__ import annotations

import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.scorer import by_length, layer_by_layer
from sentryfuse.learn.saliency import first_order, scale_gradients
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray, Inventory


class Taylor:
    """Mean over windows of |activation x gradient|, each layer scaled to length 1.

    Of a unit's factor xi = 1 that is |dL/dxi| (Michel et al. 2019, arXiv 1905.10650, for
    heads). On the full presence it is the usual static score; recomputed for each presence,
    with labels, it is the oracle that SentryGate is trained to foresee.
    """

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score by gradients on labelled windows."""
        total = torch.zeros(inventory.num_units, dtype=torch.float64)
        for inputs, label in calibration.batches(presence):
            gradients = scale_gradients(model, inputs, label, inventory.num_units)
            total += first_order(gradients.double()) * len(label)
        return layer_by_layer((total / len(calibration)).numpy(), inventory, by_length)
