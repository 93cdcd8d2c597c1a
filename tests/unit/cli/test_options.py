"""Shared options mean what they say."""

from __future__ import annotations

import pytest
import typer

from sentryfuse.cli.options import parse_batches, parse_presence, parse_ratios
from tests.bundles import small_spec


def test_no_names_mean_all_modalities() -> None:
    assert parse_presence(small_spec(), None) == small_spec().full_presence


@pytest.mark.parametrize(
    "names", ["sensor_0,sensor_3", " sensor_3 , sensor_0 ", "sensor_3,sensor_0,"]
)
def test_names_mean_these_modalities_in_any_order(names: str) -> None:
    assert parse_presence(small_spec(), names).indices == (0, 3)


@pytest.mark.parametrize(
    ("names", "reason"), [("nose", "unknown modality 'nose'"), (",", "no mod")]
)
def test_unknown_or_no_names_are_refused(names: str, reason: str) -> None:
    with pytest.raises(typer.BadParameter, match=reason):
        parse_presence(small_spec(), names)


def test_ratios_become_ascending_thousandths_without_repeats() -> None:
    assert parse_ratios("0.8, 0,0.25,0.8") == (0, 250, 800)


@pytest.mark.parametrize("text", ["", "1", "-0.1", "nan", "half", "0.5;0.8"])
def test_ratios_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_ratios(text)


def test_batches_become_ascending_numbers() -> None:
    assert parse_batches("16,1, 4") == (1, 4, 16)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many"])
def test_batches_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="positive whole numbers"):
        parse_batches(text)
