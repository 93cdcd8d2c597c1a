from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sentryfuse.errors import ConfigError
from sentryfuse.gate import Gate
from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines import BASELINES, OURS, Scorer, build_method
from sentryfuse.learn.baselines.data_free import Magnitude, Random
from sentryfuse.learn.baselines.fisher import Fisher
from sentryfuse.learn.baselines.flap import fluctuation
from sentryfuse.learn.baselines.scorer import by_deviation, by_length, by_rank
from sentryfuse.learn.baselines.statistics import feature_statistics
from sentryfuse.learn.baselines.synflow import SynFlow
from sentryfuse.learn.baselines.taylor import Taylor
from sentryfuse.learn.baselines.wanda import Wanda, wanda_metric
from sentryfuse.learn.gate import SentryGate
from sentryfuse.learn.saliency import scale_gradients
from sentryfuse.presence import Presence
from sentryfuse.units import FloatArray
from tests.unit.learn.baselines.toys import (
    BACKBONES,
    BOTH_ENDS,
    chance,
    toy_model,
    toy_spec,
    toy_windows,
)

FULL = Presence.full(3)
MODEL = toy_model()
WINDOWS = toy_windows(MODEL.spec)


def score(scorer: Scorer, presence: Presence = FULL, seed: int = 0) -> FloatArray:
    return scorer.scores(MODEL, MODEL.inventory, WINDOWS, presence, chance(seed))


def loss(model: Backbone, scale: torch.Tensor, presence: Presence = FULL) -> torch.Tensor:
    """Loss of the first calibration window alone."""
    inputs, label = next(WINDOWS.batches(presence, size=1))
    return F.cross_entropy(model(inputs, scale), label)


def test_random_scores_depend_on_the_generator_alone() -> None:
    np.testing.assert_array_equal(score(Random()), score(Random(), BOTH_ENDS))
    assert not np.array_equal(score(Random()), score(Random(), seed=1))


def test_magnitude_is_the_length_of_the_weights_that_leave_with_a_unit() -> None:
    scores = score(Magnitude())
    layer = MODEL.encoders["sensor_1"].layers[0]
    ffn, attention = layer.feed_forward, layer.attention
    channels = [
        torch.cat([ffn.expand.weight[c], ffn.project.weight[:, c]]).norm().item() for c in range(16)
    ]
    heads = [
        torch.cat(
            [
                attention.query.weight[4 * h : 4 * h + 4].flatten(),
                attention.output.weight[:, 4 * h : 4 * h + 4].flatten(),
            ]
        )
        .norm()
        .item()
        for h in range(4)
    ]
    for name, lengths in (("ffn", channels), ("attention", heads)):
        units = MODEL.inventory[f"encoders.sensor_1.0.{name}"].units
        np.testing.assert_allclose(scores[units], np.array(lengths) / np.mean(lengths))


def test_wanda_of_two_units_by_hand() -> None:
    weight, mean_square = np.array([[3.0, -4.0], [1.0, 2.0]]), np.array([4.0, 9.0])
    np.testing.assert_allclose(wanda_metric(weight, mean_square, 1), [4.0, 9.0])
    np.testing.assert_allclose(wanda_metric(weight, mean_square, 2), [13.0])


def test_wanda_reads_the_activations_that_the_output_projection_reads() -> None:
    inputs, _ = next(WINDOWS.batches(FULL))
    layer = MODEL.encoders["sensor_0"].layers[0]
    with torch.no_grad():
        x = layer.attend(MODEL.encoders["sensor_0"].embedding(inputs["sensor_0"]))
        hidden = F.gelu(layer.feed_forward.expand(layer.feed_forward_norm(x)))
        norm = hidden.flatten(0, 1).norm(dim=0)
        metric = (layer.feed_forward.project.weight.abs() * norm).mean(dim=0).numpy()
    units = MODEL.inventory["encoders.sensor_0.0.ffn"].units
    np.testing.assert_array_equal(score(Wanda())[units].argsort(), metric.argsort())


def test_fluctuation_of_two_units_by_hand() -> None:
    weight, tokens = np.array([[3.0, 1.0], [4.0, 0.0]]), np.array([[1.0, 5.0], [3.0, 9.0]])
    variance = tokens.var(axis=0, ddof=1)
    np.testing.assert_allclose(fluctuation(weight, variance), [2.0 * 25, 8.0 * 1])


def test_feature_statistics_are_those_of_all_tokens_of_all_windows() -> None:
    inputs, _ = next(WINDOWS.batches(FULL, size=len(WINDOWS)))
    block, seen = list(feature_statistics(MODEL, WINDOWS, FULL).items())[1]
    layer = MODEL.encoders["sensor_0"].layers[0]
    with torch.no_grad():
        x = layer.attend(MODEL.encoders["sensor_0"].embedding(inputs["sensor_0"]))
        hidden = F.gelu(layer.feed_forward.expand(layer.feed_forward_norm(x))).flatten(0, 1)
    assert block.layer.name == "encoders.sensor_0.0.ffn"
    assert seen.count == len(hidden)
    np.testing.assert_allclose(seen.mean, hidden.mean(dim=0))
    np.testing.assert_allclose(seen.variance, hidden.var(dim=0))


def test_gradients_of_single_windows_are_finite_differences_of_their_losses() -> None:
    inputs, label = next(WINDOWS.batches(FULL, size=3))
    gradients = scale_gradients(MODEL, inputs, label, MODEL.inventory.num_units)
    h = 1e-5
    for unit in (0, 5, 30, MODEL.inventory.num_units - 1):
        step = torch.zeros(MODEL.inventory.num_units, dtype=torch.float64)
        step[unit] = h
        with torch.no_grad():
            change = loss(MODEL, 1 + step) - loss(MODEL, 1 - step)
        assert gradients[0, unit].item() == pytest.approx(change.item() / (2 * h), abs=1e-8)


def test_taylor_is_the_mean_absolute_gradient_of_single_windows() -> None:
    gradients = single_gradients(FULL)
    np.testing.assert_allclose(score(Taylor()), unit_length(np.abs(gradients).mean(axis=0)))


def test_fisher_is_the_mean_squared_gradient_of_single_windows() -> None:
    gradients = single_gradients(BOTH_ENDS)
    np.testing.assert_allclose(score(Fisher(), BOTH_ENDS), np.square(gradients).mean(axis=0))


def single_gradients(presence: Presence) -> FloatArray:
    """Gradients by the scale, one window and one backward pass at a time."""
    rows = []
    for inputs, label in WINDOWS.batches(presence, size=1):
        scale = torch.ones(MODEL.inventory.num_units, dtype=torch.float64, requires_grad=True)
        F.cross_entropy(MODEL(inputs, scale), label).backward()
        rows.append(scale.grad.numpy())
    return np.array(rows)


def unit_length(scores: FloatArray) -> FloatArray:
    out = scores.copy()
    for layer in MODEL.inventory.layers:
        out[layer.units] /= np.linalg.norm(scores[layer.units])
    return out


def test_normalisations_by_hand() -> None:
    np.testing.assert_allclose(by_length(np.array([3.0, 4.0])), [0.6, 0.8])
    np.testing.assert_allclose(by_rank(np.array([7.0, 1.0, 1.0, 9.0])), [0.75, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(by_deviation(np.array([1.0, 3.0])), [-(0.5**0.5), 0.5**0.5])


@pytest.mark.parametrize("normalise", [by_length, by_rank, by_deviation])
def test_a_layer_of_equal_scores_stays_finite(normalise) -> None:
    assert np.isfinite(normalise(np.zeros(5))).all()


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", BACKBONES.values(), ids=BACKBONES)
def test_scores_are_finite_and_the_model_is_left_as_it_was(
    name: str, shape: dict[str, object]
) -> None:
    model = toy_model(**shape)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    calibration = toy_windows(model.spec, count=6)
    method: Scorer = SynFlow(rounds=3) if name == "synflow" else build_method(name)
    scores = method.scores(model, model.inventory, calibration, BOTH_ENDS, chance())
    assert scores.shape == (model.inventory.num_units,)
    assert np.isfinite(scores).all()
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("name", ["taylor", "wanda", "fisher", "flap"])
def test_a_static_method_scores_alike_for_every_presence(name: str) -> None:
    method = build_method(name)
    np.testing.assert_array_equal(score(method), score(method, BOTH_ENDS))


def test_the_oracle_scores_each_presence_and_looks_at_no_absent_modality() -> None:
    oracle = build_method("taylor_oracle")
    spoilt = dataclasses.replace(
        WINDOWS, inputs={**WINDOWS.inputs, "sensor_1": 9 * WINDOWS.inputs["sensor_1"]}
    )
    seen = oracle.scores(MODEL, MODEL.inventory, spoilt, BOTH_ENDS, chance())
    np.testing.assert_array_equal(seen, score(oracle, BOTH_ENDS))
    assert not np.allclose(seen, score(oracle))


@pytest.mark.parametrize("name", ["wanda", "flap", "magnitude"])
def test_methods_without_labels_read_none(name: str) -> None:
    blind = dataclasses.replace(WINDOWS, label=torch.full_like(WINDOWS.label, -1))
    method = build_method(name)
    seen = method.scores(MODEL, MODEL.inventory, blind, FULL, chance())
    np.testing.assert_array_equal(seen, score(method))


def test_our_scores_are_the_gates() -> None:
    units = MODEL.inventory.num_units
    module = SentryGate(num_modalities=3, num_units=units, hidden_dim=4)
    gate = Gate.from_arrays(module.to_arrays())
    ours = build_method(OURS, gate)
    np.testing.assert_array_equal(score(ours, BOTH_ENDS), gate.scores(BOTH_ENDS))
    assert not np.array_equal(score(ours), score(ours, BOTH_ENDS))


def test_a_gate_of_another_model_is_refused() -> None:
    arrays = SentryGate(num_modalities=3, num_units=7, hidden_dim=4).to_arrays()
    with pytest.raises(ConfigError, match="7 units"):
        score(build_method(OURS, Gate.from_arrays(arrays)))


@pytest.mark.parametrize(("name", "named"), [("snip", "'snip'"), (OURS, "trained gate")])
def test_a_method_that_cannot_be_built_is_named(name: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build_method(name)


def test_toy_specs_cover_every_backbone() -> None:
    assert {toy_spec(**shape).backbone.kind for shape in BACKBONES.values()} == {
        "maestro",
        "flexmoe",
        "fusemoe",
    }
