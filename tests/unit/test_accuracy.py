from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentryfuse.accuracy import AccuracyTable, smooth
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return read_bundle(Path("models/dsads-maestro/1"))


def test_expected_accuracy_lies_between_the_measured_ratios() -> None:
    table = AccuracyTable((0, 500), {1: (0.9, 0.7)})
    assert table.expected(Presence(1, 2), 250) == pytest.approx(0.8)


def test_a_presence_not_measured_is_expected_to_do_as_its_peers() -> None:
    table = AccuracyTable((0, 500), {0b001: (0.6, 0.4), 0b010: (0.8, 0.6), 0b111: (1.0, 1.0)})
    assert table.expected(Presence(0b100, 3), 0) == pytest.approx(0.7)


def test_a_table_with_no_peer_says_so() -> None:
    with pytest.raises(BundleError, match="presence 3"):
        AccuracyTable((0,), {1: (0.9,)}).expected(Presence(0b11, 2), 0)


def test_a_gain_by_pruning_is_taken_for_noise() -> None:
    rows = {0b01: (0.80, 0.70), 0b10: (0.70, 0.80), 0b11: (0.90, 0.95)}
    table = AccuracyTable((0, 900), rows)
    for bits in rows:
        assert table.expected(Presence(bits, 2), 900) <= table.expected(Presence(bits, 2), 0)


def test_presences_that_differ_as_little_as_subjects_do_are_expected_to_do_the_same() -> None:
    smoothed = smooth({0b01: (0.84, 0.78), 0b10: (0.80, 0.72)})
    assert smoothed[0b01] == smoothed[0b10] == pytest.approx((0.82, 0.75))


def test_presences_that_differ_far_more_than_subjects_do_keep_what_sets_them_apart() -> None:
    strong, weak = smooth({0b01: (0.90, 0.85), 0b10: (0.20, 0.15)}).values()
    assert strong == pytest.approx((0.90, 0.85), abs=0.01)
    assert weak == pytest.approx((0.20, 0.15), abs=0.01)


def test_the_full_presence_loses_by_pruning_about_what_smaller_ones_lose() -> None:
    rows = {0b01: (0.8, 0.6), 0b10: (0.8, 0.6), 0b11: (0.95, 0.95)}
    # It has weight 1 in its own loss, the two smaller ones a quarter each.
    assert smooth(rows)[0b11] == pytest.approx((0.95, 0.95 - 0.2 / 3))


def test_a_smoothed_table_is_smoothed_once(shipped: Bundle) -> None:
    smoothed = shipped.accuracy.smoothed
    assert smoothed.smoothed is smoothed is shipped.accuracy.smoothed
    assert smoothed.rows != shipped.accuracy.rows


def test_the_shipped_table_falls_with_the_ratio_and_keeps_its_mean_at_each(
    shipped: Bundle,
) -> None:
    measured = np.array(list(shipped.accuracy.rows.values()))
    smoothed = np.array(list(shipped.accuracy.smoothed.rows.values()))
    assert (np.diff(measured, axis=1) > 0).any()
    assert (np.diff(smoothed, axis=1) <= 0).all()
    np.testing.assert_allclose(smoothed.mean(axis=0), measured.mean(axis=0), atol=0.005)


def test_a_card_gives_the_smoothed_accuracy(shipped: Bundle) -> None:
    builder, full = VariantBuilder(shipped), shipped.spec.full_presence
    card = builder.build(builder.mask(full, 0.9)).card
    measured = shipped.accuracy.rows[full.bits][shipped.accuracy.permilles.index(900)]
    smoothed = shipped.accuracy.smoothed.rows[full.bits]
    assert card.expected_accuracy == smoothed[shipped.accuracy.permilles.index(900)] < measured


@pytest.mark.parametrize(
    ("permilles", "rows", "reason"),
    [
        ((500, 0), {1: (0.9, 0.7)}, "ascend from 0"),
        ((250, 500), {1: (0.9, 0.7)}, "ascend from 0"),
        ((0, 500), {1: (0.9,)}, "presence 1 must be 2 numbers"),
        ((0,), {1: (1.2,)}, r"in \[0, 1\]"),
        ((0,), {1: (float("nan"),)}, r"in \[0, 1\]"),
        ((0,), {0: (0.9,)}, "bits must be positive"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(
    permilles: tuple[int, ...], rows: dict[int, tuple[float, ...]], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        AccuracyTable(permilles, rows)
