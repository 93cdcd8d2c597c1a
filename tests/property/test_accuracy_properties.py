from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryfuse.accuracy import AccuracyTable, smooth
from sentryfuse.presence import Presence

MODALITIES = 4
RATIOS = 5
cells = st.floats(0.0, 1.0)
any_row = st.tuples(*[cells] * RATIOS)
falling_row = any_row.map(lambda row: tuple(sorted(row, reverse=True)))
every_bits = st.integers(1, 2**MODALITIES - 1)
tables = st.dictionaries(every_bits, any_row, min_size=1)
permilles = tuple(200 * i for i in range(RATIOS))


@given(rows=tables, pair=st.tuples(st.integers(0, 999), st.integers(0, 999)))
def test_expected_accuracy_never_rises_with_the_ratio(
    rows: dict[int, tuple[float, ...]], pair: tuple[int, int]
) -> None:
    table = AccuracyTable(permilles, rows)
    less, more = sorted(pair)
    for bits in rows:
        presence = Presence(bits, MODALITIES)
        assert table.expected(presence, more) <= table.expected(presence, less) + 1e-12


@given(rows=tables)
def test_smoothing_keeps_presences_and_stays_within_zero_and_one(
    rows: dict[int, tuple[float, ...]],
) -> None:
    smoothed = smooth(rows)
    assert list(smoothed) == list(rows)
    assert all(0.0 <= a <= 1.0 for row in smoothed.values() for a in row)


@given(rows=tables)
def test_smoothing_is_deterministic_and_done_once(rows: dict[int, tuple[float, ...]]) -> None:
    smoothed = AccuracyTable(permilles, rows).smoothed
    assert smoothed == AccuracyTable(permilles, rows).smoothed
    assert smoothed.smoothed is smoothed


@given(row=falling_row, bits=st.sets(every_bits, min_size=1))
def test_presences_that_agree_and_fall_are_left_as_measured(
    row: tuple[float, ...], bits: set[int]
) -> None:
    for smoothed in smooth(dict.fromkeys(bits, row)).values():
        assert smoothed == pytest.approx(row, abs=1e-12)


@given(rows=st.dictionaries(every_bits, falling_row, min_size=1))
def test_a_subject_worth_any_number_of_windows_is_believed_where_rows_fall(
    rows: dict[int, tuple[float, ...]],
) -> None:
    assert smooth(rows, worth_windows=float("inf")) == rows


@given(rows=tables)
def test_making_rows_fall_keeps_their_mean_and_is_done_once(
    rows: dict[int, tuple[float, ...]],
) -> None:
    falling = smooth(rows, worth_windows=float("inf"))
    for bits, row in rows.items():
        assert sum(falling[bits]) == pytest.approx(sum(row))
    assert smooth(falling, worth_windows=float("inf")) == falling


@given(rows=tables, swap=st.permutations(range(MODALITIES)))
def test_the_order_of_modalities_does_not_matter(
    rows: dict[int, tuple[float, ...]], swap: list[int]
) -> None:
    def renamed(bits: int) -> int:
        return sum(1 << swap[i] for i in range(MODALITIES) if bits >> i & 1)

    turned = smooth({renamed(bits): row for bits, row in rows.items()})
    for bits, row in smooth(rows).items():
        assert turned[renamed(bits)] == pytest.approx(row, abs=1e-9)
