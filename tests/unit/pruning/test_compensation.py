from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.pruning import (
    Moments,
    Projection,
    absorb_means,
    corrected_weights,
    fit_scales,
    refit,
)
from sentryfuse.units import FloatArray

RNG = np.random.default_rng(0)
X = RNG.normal(1.0, 1.0, (200, 6)) @ RNG.normal(size=(6, 6))
WHOLE = Projection(RNG.normal(size=(4, 6)), RNG.normal(size=4))
KEPT = np.array([True, True, False, True, False, True])


def say(x: FloatArray, projection: Projection) -> FloatArray:
    return x @ projection.weight.T + projection.bias


def kept(projection: Projection) -> Projection:
    return Projection(projection.weight[:, KEPT], projection.bias)


def error(projection: Projection, x: FloatArray = X) -> float:
    return float(np.square(say(x[:, KEPT], projection) - say(x, WHOLE)).mean())


def test_a_refit_says_more_of_what_the_block_said_than_a_mask_or_a_bias_alone() -> None:
    moments = Moments.of(X[:, KEPT], say(X, WHOLE))
    biased = kept(absorb_means(WHOLE, X.mean(axis=0), KEPT))

    assert error(refit(moments, kept(WHOLE))) < error(biased) < error(kept(WHOLE))


def test_a_refit_is_exact_where_removed_features_are_combinations_of_the_kept() -> None:
    x = X.copy()
    x[:, ~KEPT] = x[:, KEPT] @ RNG.normal(size=(4, 2))
    moments = Moments.of(x[:, KEPT], say(x, WHOLE))

    fitted = refit(moments, kept(WHOLE), ridge=1e-12)

    np.testing.assert_allclose(say(x[:, KEPT], fitted), say(x, WHOLE), atol=1e-8)


def test_a_refit_is_the_minimum_that_a_plain_solver_finds() -> None:
    target = say(X, WHOLE)
    columns = np.c_[X[:, KEPT], np.ones(len(X))]
    expected = np.linalg.lstsq(columns, target, rcond=None)[0]

    fitted = refit(Moments.of(X[:, KEPT], target), kept(WHOLE), ridge=1e-12)

    np.testing.assert_allclose(np.c_[fitted.weight, fitted.bias], expected.T, atol=1e-7)


def test_a_strong_ridge_leaves_the_weights_and_restores_the_mean() -> None:
    fitted = refit(Moments.of(X[:, KEPT], say(X, WHOLE)), kept(WHOLE), ridge=1e9)

    np.testing.assert_allclose(fitted.weight, kept(WHOLE).weight, atol=1e-6)
    mean = say(X[:, KEPT], fitted).mean(axis=0)
    np.testing.assert_allclose(mean, say(X, WHOLE).mean(axis=0), atol=1e-9)


def test_repeated_and_constant_features_are_no_trouble() -> None:
    x = np.c_[X[:, 0], X[:, 0], np.full(len(X), 3.0)]
    whole = Projection(np.ones((2, 3)), np.zeros(2))

    fitted = refit(Moments.of(x, 2 * say(x, whole)), whole, ridge=1e-9)

    np.testing.assert_allclose(say(x, fitted), 2 * say(x, whole), atol=1e-6)


def test_a_ridge_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ConfigError, match="ridge must be positive, got 0"):
        refit(Moments.of(X, say(X, WHOLE)), WHOLE, ridge=0)


def test_moments_of_batches_add_up() -> None:
    y = say(X, WHOLE)
    whole, sum_ = Moments.of(X, y), Moments.of(X[:77], y[:77]) + Moments.of(X[77:], y[77:])

    assert sum_.count == whole.count
    for name in ("sum_x", "sum_y", "gram", "cross"):
        np.testing.assert_allclose(getattr(sum_, name), getattr(whole, name), rtol=1e-12)


def test_moments_of_another_block_are_refused() -> None:
    with pytest.raises(MaskMismatchError, match=r"\(4, 6\)"):
        refit(Moments.of(X, say(X, WHOLE)), kept(WHOLE))
    with pytest.raises(ConfigError, match="200 rows, targets 199"):
        Moments.of(X, say(X, WHOLE)[1:])


def test_a_unit_is_doubled_when_its_twin_goes() -> None:
    x = X[:, [0, 1, 2, 3, 0, 1]]  # the third unit of two features repeats the first
    weight = np.c_[WHOLE.weight[:, :4], WHOLE.weight[:, :2]]
    whole = Projection(weight, WHOLE.bias)
    rest = Projection(weight[:, :4], WHOLE.bias)

    scales = fit_scales(Moments.of(x[:, :4], say(x, whole)), rest, unit_width=2, damp=1e-9)

    np.testing.assert_allclose(scales, [2.0, 1.0], atol=1e-4)


def test_scales_minimise_the_error_as_a_plain_solver_does() -> None:
    rest, target = kept(WHOLE), say(X, WHOLE)
    units = X[:, KEPT].T[:, :, None] * rest.weight.T[:, None]  # [units, rows, outputs]
    columns = units.reshape(4, -1).T
    expected = np.linalg.lstsq(columns, (target - rest.bias).ravel(), rcond=None)[0]

    scales = fit_scales(Moments.of(X[:, KEPT], target), rest, unit_width=1, damp=1e-9)

    np.testing.assert_allclose(scales, expected, atol=1e-4)


def test_damping_draws_scales_towards_one() -> None:
    moments = Moments.of(X[:, KEPT], say(X, WHOLE))

    far, near = (fit_scales(moments, kept(WHOLE), 1, damp) - 1 for damp in (1e-3, 1.0))

    assert 0 < np.linalg.norm(near) < np.linalg.norm(far)
    np.testing.assert_allclose(fit_scales(moments, kept(WHOLE), 1, 1e6), 1.0, atol=1e-6)


def test_an_absorbed_mean_is_what_the_removed_features_said_on_average() -> None:
    projection = Projection(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0]))

    absorbed = absorb_means(projection, np.array([5.0, 0.5]), np.array([True, False]))

    np.testing.assert_array_equal(absorbed.bias, [11.0, 22.0])
    np.testing.assert_array_equal(absorbed.weight, projection.weight)


def test_corrected_weights_replace_only_what_was_corrected() -> None:
    weights = {
        "a.weight": np.ones((2, 3), np.float32),
        "a.bias": np.ones(2, np.float32),
        "b.bias": np.ones(2, np.float32),
    }
    out = corrected_weights(weights, {"a": Projection(np.zeros((2, 3)), np.full(2, 5.0))})

    assert out["a.weight"].sum() == 0
    assert out["a.bias"].tolist() == [5, 5]
    assert out["b.bias"] is weights["b.bias"]
    assert weights["a.weight"].all()
    assert out["a.weight"].dtype == np.float32


@pytest.mark.parametrize(("name", "shape"), [("c", (2, 3)), ("a", (2, 2))])
def test_a_projection_that_has_no_place_is_refused(name: str, shape: tuple[int, int]) -> None:
    weights = {"a.weight": np.ones((2, 3), np.float32), "a.bias": np.ones(2, np.float32)}
    with pytest.raises(MaskMismatchError, match=rf"{name}\.weight"):
        corrected_weights(weights, {name: Projection(np.zeros(shape), np.zeros(2))})
