from __future__ import annotations

import pytest

from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence, all_presences

NAMES = ("torso", "right_arm", "left_leg")


def test_bit_i_is_modality_i() -> None:
    assert Presence.named(["left_leg", "torso"], NAMES) == Presence(0b101, 3)


def test_names_come_in_the_bundles_order() -> None:
    assert Presence.named(["left_leg", "torso"], NAMES).names(NAMES) == ("torso", "left_leg")


@pytest.mark.parametrize("bits", [0, 8, -1])
def test_an_empty_or_foreign_mask_is_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match=r"\[1, 7\]"):
        Presence(bits, 3)


def test_an_unknown_modality_is_named() -> None:
    with pytest.raises(ConfigError, match="'nose'"):
        Presence.named(["torso", "nose"], NAMES)


def test_no_modality_is_refused() -> None:
    with pytest.raises(ConfigError, match="no modality"):
        Presence.named([], NAMES)


@pytest.mark.parametrize(("size", "text"), [(3, "7"), (5, "1f"), (10, "3ff")])
def test_hex_is_as_wide_as_the_bundle_and_reads_back(size: int, text: str) -> None:
    full = Presence.full(size)
    assert full.hex == text
    assert Presence.from_hex(text, size) == full


def test_hex_that_is_not_hexadecimal_is_refused() -> None:
    with pytest.raises(ConfigError, match="hexadecimal"):
        Presence.from_hex("xyz", 5)


def test_all_presences_start_with_the_full_one_and_are_all_different() -> None:
    presences = all_presences(5)
    assert presences[0] == Presence.full(5)
    assert len(set(presences)) == 31
    assert [p.num_missing for p in presences] == sorted(p.num_missing for p in presences)


def test_presences_of_one_level_miss_that_many() -> None:
    assert {p.num_missing for p in all_presences(5, 2)} == {2}
    assert len(all_presences(5, 2)) == 10
