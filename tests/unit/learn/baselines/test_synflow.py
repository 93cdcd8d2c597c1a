from __future__ import annotations

import numpy as np
import pytest
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.blocks import UnitBlock, unit_blocks
from sentryfuse.learn.baselines.synflow import (
    SynFlow,
    flow_weights,
    from_features,
    total_flow,
    unit_flow,
)
from sentryfuse.presence import Presence
from sentryfuse.pruning import select_units
from tests.unit.learn.baselines.toys import BACKBONES, chance, toy_model, toy_windows

FULL = Presence.full(3)


@pytest.fixture(params=BACKBONES.values(), ids=BACKBONES)
def model(request: pytest.FixtureRequest) -> Backbone:
    return toy_model(**request.param)


def weight_scores(model: Backbone, name: str) -> torch.Tensor:
    """SynFlow's score of single weights, |dR/dw * w|, like the weight."""
    weights = flow_weights(model)
    weight = weights[name].requires_grad_()
    ones = torch.ones(model.inventory.num_units, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(total_flow(model, weights, FULL, ones), weight)
    return (gradient * weight).abs().detach()


def test_flow_is_conserved_in_every_channel(model: Backbone) -> None:
    flow = unit_flow(model, flow_weights(model), FULL, model.inventory.active(FULL))
    channels = [b for b in unit_blocks(model.inventory) if b.layer.kind == "channel"]
    for block in (channels[0], channels[-1]):
        into = weight_scores(model, f"{block.entry}.weight").sum(dim=1)
        out_of = weight_scores(model, f"{block.exit}.weight").sum(dim=0)
        torch.testing.assert_close(into, out_of, rtol=1e-9, atol=0)
        np.testing.assert_allclose(flow[block.layer.units], out_of, rtol=1e-9)


def test_a_heads_flow_is_that_of_its_output_columns(model: Backbone) -> None:
    block: UnitBlock = unit_blocks(model.inventory)[0]
    assert block.layer.kind == "head"
    flow = unit_flow(model, flow_weights(model), FULL, model.inventory.active(FULL))
    columns = weight_scores(model, f"{block.exit}.weight").sum(dim=0)
    np.testing.assert_allclose(
        flow[block.layer.units], columns.reshape(block.layer.count, -1).sum(dim=1), rtol=1e-9
    )


def test_all_flow_leaves_through_the_classifier(model: Backbone) -> None:
    ones = torch.ones(model.inventory.num_units, dtype=torch.float64)
    total = total_flow(model, flow_weights(model), FULL, ones)
    for name in ("classifier.weight", "pooled.weight"):
        torch.testing.assert_close(weight_scores(model, name).sum(), total, rtol=1e-9, atol=0)


def test_where_tokens_are_made_of_features_the_flow_begins_at_them() -> None:
    # In float32, as models are trained: the flow itself is in float64.
    model = toy_model(steps=3, summary="rich", standardise_summary=True).float()
    fed = from_features(model)
    weights = flow_weights(fed)
    ones = torch.ones(model.inventory.num_units, dtype=torch.float64)

    flow = unit_flow(fed, weights, FULL, model.inventory.active(FULL))

    assert (flow > 0).all()
    first = weights["encoders.sensor_0.embedding.project.weight"].requires_grad_()
    total = total_flow(fed, weights, FULL, ones)
    (gradient,) = torch.autograd.grad(total, first)
    assert 0 < (gradient * first).sum() < total


def test_models_of_features_are_ranked_like_others() -> None:
    model = toy_model(steps=3, summary="rich", standardise_summary=True).float()
    windows = toy_windows(model.spec)

    scores = SynFlow().scores(model, model.inventory, windows, FULL, chance())

    assert len(set(scores)) == model.inventory.num_units


def test_a_removed_unit_carries_nothing_and_others_lose_what_came_through_it() -> None:
    model = toy_model()
    keep = model.inventory.active(FULL)
    weights = flow_weights(model)
    before = unit_flow(model, weights, FULL, keep)
    layer = model.inventory["encoders.sensor_0.0.ffn"]
    keep[layer.offset] = False
    after = unit_flow(model, weights, FULL, keep)
    assert after[layer.offset] == 0
    fusion = model.inventory["fusion.0.moe"].units
    assert (after[fusion] < before[fusion]).all()


def test_units_go_in_the_order_of_the_schedule() -> None:
    model = toy_model()
    calibration = toy_windows(model.spec, count=1)
    scores = SynFlow(rounds=4).scores(model, model.inventory, calibration, FULL, chance())
    weights, keep = flow_weights(model), model.inventory.active(FULL)
    for number in (1, 2):
        ratio = 1 - 0.005 ** (number / 4)
        keep = select_units(unit_flow(model, weights, FULL, keep), model.inventory, FULL, ratio)
        np.testing.assert_array_equal(select_units(scores, model.inventory, FULL, ratio), keep)


def test_many_rounds_and_one_disagree() -> None:
    model = toy_model()
    calibration = toy_windows(model.spec, count=1)
    one, many = (
        SynFlow(rounds=n).scores(model, model.inventory, calibration, FULL, chance())
        for n in (1, 20)
    )
    masks = [select_units(s, model.inventory, FULL, 0.7) for s in (one, many)]
    assert not np.array_equal(*masks)
