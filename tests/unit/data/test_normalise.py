"""Normalisation is fitted where it may be, and survives what sensors do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sentryfuse.data.normalise import fit_normalisation, standardise
from sentryfuse.data.splits import recommended_split
from tests.unit.data.sets import window_set


def test_training_windows_become_mean_0_and_deviation_1_in_every_channel() -> None:
    rng = np.random.default_rng(0)
    raw = {"motion": rng.normal([1e3, -2.0], [5.0, 1e-4], (50, 20, 2))}
    out = standardise(raw, fit_normalisation(window_set(raw)))["motion"]
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=(0, 1)), 1, atol=1e-3)


def test_windows_outside_the_training_groups_change_nothing() -> None:
    rng = np.random.default_rng(0)
    raw = rng.random((40, 5, 1))
    windows = window_set({"motion": raw})
    split = recommended_split(windows)
    before = fit_normalisation(windows.of_groups(split.train))
    raw[~np.isin(windows.group, split.train)] = 1e6
    assert fit_normalisation(windows.of_groups(split.train)) == before


def test_unmeasured_values_do_not_count_and_become_the_mean() -> None:
    raw = {"motion": np.array([[[1.0], [3.0], [np.nan]]])}
    fitted = fit_normalisation(window_set(raw))
    assert (fitted["motion"].mean, fitted["motion"].std) == ((2.0,), (1.0,))
    assert standardise(raw, fitted)["motion"].ravel().tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize("level", [0.0, 9.81, -3e4, 1e9])
def test_a_channel_that_never_moves_becomes_zero(level: float) -> None:
    raw = {"motion": np.full((30, 11, 1), level, dtype=np.float32)}
    fitted = fit_normalisation(window_set(raw))
    assert fitted["motion"].std == (1.0,)
    assert not standardise(raw, fitted)["motion"].any()


def test_a_channel_in_very_small_units_is_not_taken_for_constant() -> None:
    raw = {"strain": np.array([[[-3e-9], [3e-9]]])}
    out = standardise(raw, fit_normalisation(window_set(raw)))["strain"]
    np.testing.assert_allclose(out.ravel(), [-1, 1], rtol=1e-6)


def test_a_channel_that_was_never_measured_becomes_zero() -> None:
    raw = {"motion": np.full((3, 4, 1), np.nan)}
    fitted = fit_normalisation(window_set(raw))
    assert (fitted["motion"].mean, fitted["motion"].std) == ((0.0,), (1.0,))
    assert not standardise(raw, fitted)["motion"].any()


def test_sums_of_half_precision_values_do_not_overflow() -> None:
    raw = {"pressure": np.array([59_968, 60_032] * 500, dtype=np.float16).reshape(10, 100, 1)}
    fitted = fit_normalisation(window_set(raw))
    assert fitted["pressure"].mean[0] == pytest.approx(60_000)
    assert fitted["pressure"].std[0] == pytest.approx(32)


def test_an_infinity_left_by_an_overflow_counts_as_not_measured() -> None:
    raw = {"pressure": np.array([[[1.0], [3.0], [np.inf], [-np.inf]]], dtype=np.float16)}
    fitted = fit_normalisation(window_set(raw))
    assert standardise(raw, fitted)["pressure"].ravel().tolist() == [-1.0, 1.0, 0.0, 0.0]


def test_where_values_may_be_missing_they_stay_nan_and_so_does_infinity() -> None:
    raw = {"motion": np.array([[[1.0], [3.0], [np.nan], [np.inf]]])}
    windows = window_set(raw)
    gappy = replace(windows, modalities=tuple(replace(m, gaps=True) for m in windows.modalities))
    out = standardise(raw, fit_normalisation(gappy))["motion"]
    np.testing.assert_array_equal(out.ravel(), [-1.0, 1.0, np.nan, np.nan])
