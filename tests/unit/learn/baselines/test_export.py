from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sentryfuse.data.normalise import standardise
from sentryfuse.learn.backbones import build_backbone
from sentryfuse.learn.baselines import Calibration, Pruning, least_squares
from sentryfuse.pruning import Mask, corrected_weights, select_units
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle, random_windows
from tests.unit.learn.baselines.toys import BACKBONES, BOTH_ENDS, toy_spec


@pytest.mark.parametrize("shape", BACKBONES.values(), ids=BACKBONES)
def test_a_compensated_variant_says_what_the_compensated_model_says(
    shape: dict[str, object],
) -> None:
    spec = toy_spec(**shape)
    bundle = random_bundle(spec)
    model = build_backbone(spec).eval()
    model.load_state_dict({n: torch.from_numpy(w) for n, w in bundle.weights.items()})
    raw = random_windows(spec, batch=30)
    inputs = {n: torch.from_numpy(x) for n, x in standardise(raw, bundle.normalisation).items()}
    calibration = Calibration(inputs, torch.zeros(30, dtype=torch.long), frozenset())
    scores = np.random.default_rng(0).random(model.inventory.num_units)
    mask = Mask(BOTH_ENDS, 500, select_units(scores, model.inventory, BOTH_ENDS, 0.5))
    pruning = Pruning(mask, least_squares(model, calibration, mask))

    weights = corrected_weights(bundle.weights, pruning.projections)
    present = BOTH_ENDS.names(spec.modality_names)
    variant = VariantBuilder(replace(bundle, weights=weights)).build(mask)

    with torch.no_grad():
        expected = pruning.apply(model)({n: inputs[n] for n in present}).numpy()
    np.testing.assert_allclose(variant.run({n: raw[n] for n in present}), expected, atol=1e-4)
    plain = VariantBuilder(bundle).build(mask).run({n: raw[n] for n in present})
    assert np.abs(plain - expected).max() > 1e-2
