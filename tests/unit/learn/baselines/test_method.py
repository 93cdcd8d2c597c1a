from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines import BASELINES, Calibration, Pruning, build_method, least_squares
from sentryfuse.learn.baselines.blocks import BlockTap, unit_blocks
from sentryfuse.learn.baselines.correction import mask_tuning, walk
from sentryfuse.learn.baselines.flap import bias_compensation
from sentryfuse.learn.baselines.method import EqualShares
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask, Moments, Projection, select_units
from tests.unit.learn.baselines.toys import (
    BACKBONES,
    BOTH_ENDS,
    chance,
    toy_model,
    toy_windows,
)

FULL = Presence.full(3)


def random_mask(model: Backbone, presence: Presence, ratio: float, seed: int = 0) -> Mask:
    scores = np.random.default_rng(seed).random(model.inventory.num_units)
    keep = select_units(scores, model.inventory, presence, ratio)
    return Mask(presence, round(1000 * ratio), keep)


def error(model: Backbone, pruning: Pruning, calibration: Calibration) -> float:
    """Mean squared distance of logits from those of the unpruned model."""
    inputs, _ = next(calibration.batches(pruning.mask.presence))
    with torch.no_grad():
        return (pruning.apply(model)(inputs) - model(inputs)).square().mean().item()


@pytest.mark.parametrize("name", [n for n in BASELINES if n != "synflow"])
@pytest.mark.parametrize("shape", BACKBONES.values(), ids=BACKBONES)
def test_every_method_keeps_to_the_budget_and_the_floors(
    name: str, shape: dict[str, object]
) -> None:
    model, method = toy_model(**shape), build_method(name)
    calibration, inventory = toy_windows(model.spec, count=8), model.inventory
    for presence in (FULL, BOTH_ENDS):
        ranking = method.ranking(model, calibration, presence, chance())
        flops, active = inventory.unit_flops(presence), inventory.active(presence)
        dearest = sum(flops[k].max() for k in (inventory.is_head, ~inventory.is_head))
        for ratio in (0.0, 0.3, 0.7):
            keep = ranking.keep(presence, ratio)
            removed = flops[~keep].sum() - ratio * flops.sum()
            assert -1e-6 <= removed <= dearest
            assert not (keep & ~active).any()
            assert all(
                keep[layer.units].any() == active[layer.units].any() for layer in inventory.layers
            )


def test_an_uncorrected_pruning_is_the_mask_alone() -> None:
    model = toy_model()
    inputs, _ = next(toy_windows(model.spec).batches(BOTH_ENDS))
    mask = random_mask(model, BOTH_ENDS, 0.6)
    with torch.no_grad():
        masked = model(inputs, torch.from_numpy(mask.keep.astype(np.float64)))
        torch.testing.assert_close(Pruning(mask).apply(model)(inputs), masked)


def test_without_pruning_least_squares_changes_nothing() -> None:
    model = toy_model()
    calibration = toy_windows(model.spec)
    mask = random_mask(model, BOTH_ENDS, 0.0)
    assert error(model, Pruning(mask, least_squares(model, calibration, mask)), calibration) < 1e-20


@pytest.mark.parametrize("shape", BACKBONES.values(), ids=BACKBONES)
@pytest.mark.parametrize("correct", [least_squares, bias_compensation])
def test_a_correction_brings_the_pruned_answer_nearer_to_the_whole_ones(
    correct, shape: dict[str, object]
) -> None:
    model = toy_model(**shape)
    calibration = toy_windows(model.spec)
    mask = random_mask(model, FULL, 0.6)
    projections = correct(model, calibration, mask)
    corrected = error(model, Pruning(mask, projections), calibration)
    assert corrected < 0.8 * error(model, Pruning(mask), calibration)


def test_least_squares_helps_on_windows_that_it_has_not_seen() -> None:
    model = toy_model()
    mask = random_mask(model, FULL, 0.5)
    seen, unseen = toy_windows(model.spec, count=200), toy_windows(model.spec, seed=1)
    projections = least_squares(model, seen, mask)
    assert error(model, Pruning(mask, projections), unseen) < 0.5 * error(
        model, Pruning(mask), unseen
    )


def test_least_squares_is_exact_where_a_removed_channel_repeats_one_that_stays() -> None:
    model = toy_model()
    ffn = model.encoders["sensor_0"].layers[0].feed_forward
    with torch.no_grad():
        ffn.expand.weight[1], ffn.expand.bias[1] = ffn.expand.weight[0], ffn.expand.bias[0]
    keep = model.inventory.active(FULL)
    keep[model.inventory["encoders.sensor_0.0.ffn"].offset + 1] = False
    mask, calibration = Mask(FULL, 0, keep), toy_windows(model.spec)
    pruned = error(model, Pruning(mask), calibration)
    refitted = least_squares(model, calibration, mask, ridge=1e-12)
    assert error(model, Pruning(mask, refitted), calibration) < 1e-12 < pruned


def test_mask_tuning_doubles_a_channel_whose_twin_went() -> None:
    model = toy_model()
    ffn = model.encoders["sensor_0"].layers[0].feed_forward
    with torch.no_grad():
        ffn.expand.weight[1], ffn.expand.bias[1] = ffn.expand.weight[0], ffn.expand.bias[0]
        ffn.project.weight[:, 1] = ffn.project.weight[:, 0]
    keep = model.inventory.active(FULL)
    keep[model.inventory["encoders.sensor_0.0.ffn"].offset + 1] = False
    mask, calibration = Mask(FULL, 0, keep), toy_windows(model.spec)
    tuned = mask_tuning(model, calibration, mask)
    column = tuned["encoders.sensor_0.layers.0.feed_forward.project"].weight[:, 0]
    np.testing.assert_allclose(column, 2 * ffn.project.weight[:, 0].detach(), rtol=1e-2)
    assert error(model, Pruning(mask, tuned), calibration) < 1e-3 * error(
        model, Pruning(mask), calibration
    )


def test_mask_tuning_scales_whole_units_and_leaves_biases() -> None:
    model = toy_model()
    mask = random_mask(model, FULL, 0.4)
    projections = mask_tuning(model, toy_windows(model.spec), mask)
    for block in unit_blocks(model.inventory):
        if block.exit not in projections:
            continue
        before, after = block.projection(model), projections[block.exit]
        np.testing.assert_array_equal(after.bias, before.bias)
        factors = (after.weight / before.weight).reshape(
            -1, block.layer.count, 4 if block.layer.kind == "head" else 1
        )
        spread = np.ptp(factors, axis=(0, 2))
        np.testing.assert_allclose(spread, 0, atol=1e-6)


def test_tuning_ends_where_a_scale_runs_away(monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy_model()
    mask = random_mask(model, FULL, 0.4)
    answers = iter([1.0, 1.0, 11.0, 1.0, 1.0])
    monkeypatch.setattr(
        "sentryfuse.learn.baselines.correction.fit_scales",
        lambda moments, start, width: np.full(start.weight.shape[1] // width, next(answers)),
    )
    assert len(mask_tuning(model, toy_windows(model.spec), mask)) == 2


def test_the_walk_sees_what_earlier_corrections_made() -> None:
    model = toy_model()
    calibration, mask = toy_windows(model.spec), random_mask(model, FULL, 0.5)
    arrived: list[float] = []

    def keep(moments: Moments, start: Projection, width: int) -> Projection:
        arrived.append(float(moments.sum_x.sum()))
        return start

    def silence(moments: Moments, start: Projection, width: int) -> Projection:
        arrived.append(float(moments.sum_x.sum()))
        return Projection(0 * start.weight, 0 * start.bias)

    walk(model, calibration, mask, keep)
    as_pruned, arrived = arrived, []
    walk(model, calibration, mask, silence)
    assert len(arrived) == len(model.inventory.layers)
    assert arrived[:3] == as_pruned[:3]  # the first block of each of three encoders
    assert not np.isclose(arrived[3:], as_pruned[3:]).any()


def test_a_bias_restores_what_the_removed_units_said_on_average() -> None:
    model = toy_model()
    calibration = toy_windows(model.spec)
    mask = random_mask(model, BOTH_ENDS, 0.5)
    projections = bias_compensation(model, calibration, mask)
    inputs, _ = next(calibration.batches(BOTH_ENDS, size=len(calibration)))
    blocks = unit_blocks(model.inventory, BOTH_ENDS)
    with torch.no_grad(), BlockTap(model, blocks) as tap:
        model(inputs)
        for block in blocks:
            x, fixed = tap.units(block).numpy(), projections[block.exit]
            kept = np.repeat(mask.keep[block.layer.units], x.shape[1] // block.layer.count)
            said = (x * kept) @ fixed.weight.T + fixed.bias
            np.testing.assert_allclose(said.mean(0), tap.output(block).numpy().mean(0), atol=1e-12)


@pytest.mark.parametrize("correct", [least_squares, mask_tuning, bias_compensation])
def test_no_correction_reads_a_label(correct) -> None:
    model = toy_model()
    calibration, mask = toy_windows(model.spec), random_mask(model, BOTH_ENDS, 0.5)
    blind = dataclasses.replace(calibration, label=torch.full_like(calibration.label, -1))
    for name, projection in correct(model, blind, mask).items():
        seen = correct(model, calibration, mask)[name]
        np.testing.assert_array_equal(projection.weight, seen.weight)
        np.testing.assert_array_equal(projection.bias, seen.bias)


def test_the_authors_correction_is_part_of_the_method_unless_another_is_asked_for() -> None:
    model = toy_model()
    calibration = toy_windows(model.spec)
    own = {}
    for name in ("flap", "fisher", "taylor"):
        method = build_method(name)
        ranking = method.ranking(model, calibration, FULL, chance())
        kinds = {
            kind: method.prune(model, ranking, calibration, FULL, 0.5, kind)
            for kind in ("own", "none", "least_squares")
        }
        own[name] = kinds["own"].projections
        assert not kinds["none"].projections
        assert len(kinds["least_squares"].projections) == len(model.inventory.layers)
        assert kinds["own"].mask.digest == kinds["least_squares"].mask.digest
    assert own["flap"]
    assert own["fisher"]
    assert not own["taylor"]


def test_pruning_leaves_the_model_as_it_was() -> None:
    model = toy_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    calibration = toy_windows(model.spec)
    scores = np.random.default_rng(0).random(model.inventory.num_units)
    pruning = build_method("taylor").prune(
        model, EqualShares(model.inventory, scores), calibration, FULL, 0.5, "least_squares"
    )
    pruning.apply(model)
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0)
