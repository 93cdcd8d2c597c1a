from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.pruning import MASK_VERSION, Mask, permille, stored_version

FULL = Presence.full(5)


NAME = "sentryfuse:1:d1ge57:mask:1f:500"


def mask(num_units: int = 21) -> Mask:
    keep = np.random.default_rng(0).random(num_units) < 0.5
    return Mask(FULL, 500, keep)


def read(data: bytes, num_units: int = 21, name: str = NAME) -> Mask:
    return Mask.from_bytes(data, name, presence=FULL, permille=500, num_units=num_units)


def test_a_mask_survives_bytes() -> None:
    original = mask()
    again = read(original.to_bytes(NAME))
    np.testing.assert_array_equal(again.keep, original.keep)
    assert again.digest == original.digest


def test_a_mask_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mask().keep[0] = True


def test_one_other_bit_is_another_digest() -> None:
    keep = mask().keep.copy()
    keep[0] = not keep[0]
    assert Mask(FULL, 500, keep).digest != mask().digest


@pytest.mark.parametrize("position", [0, 4, 8, 12, -1])
def test_any_changed_byte_is_refused(position: int) -> None:
    data = bytearray(mask().to_bytes(NAME))
    data[position] ^= 0x80
    with pytest.raises(MaskMismatchError):
        read(bytes(data))


@pytest.mark.parametrize("length", [0, 5, 27, 30])
def test_bytes_cut_short_are_refused(length: int) -> None:
    with pytest.raises(MaskMismatchError):
        read(mask().to_bytes(NAME)[:length])


@pytest.mark.parametrize("name", ["", NAME[:-1], NAME + "0", NAME.replace("500", "800")])
def test_a_mask_under_another_name_is_refused(name: str) -> None:
    with pytest.raises(MaskMismatchError, match="does not match its bits and name"):
        read(mask().to_bytes(NAME), name=name)


def test_a_mask_says_which_version_of_its_form_it_has() -> None:
    assert stored_version(mask().to_bytes(NAME)) == MASK_VERSION


@pytest.mark.parametrize("data", [b"", b"SFMK\x02", b"XXXX" + bytes(60)])
def test_what_is_no_mask_has_no_version(data: bytes) -> None:
    assert stored_version(data) is None


def test_a_mask_of_another_model_is_refused() -> None:
    with pytest.raises(MaskMismatchError, match="21 units, the model has 22"):
        read(mask().to_bytes(NAME), num_units=22)


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 0), (0.65, 650), (0.9996, 999)])
def test_permille_rounds(ratio: float, expected: int) -> None:
    assert permille(ratio) == expected


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")])
def test_a_ratio_outside_the_range_is_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match=r"\[0, 1\)"):
        permille(ratio)
