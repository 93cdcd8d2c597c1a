from __future__ import annotations

import numpy as np
import pytest

from app.errors import WrongInputError
from app.protocol.tensors import BYTES, NUMBERS, Tensor, from_bytes, to_bytes


@pytest.mark.parametrize("datatype", NUMBERS)
def test_what_is_written_is_read_back(datatype: str) -> None:
    values = np.arange(6).reshape(2, 3)
    raw = to_bytes(Tensor("x", datatype, values))
    tensor = from_bytes("x", datatype, [2, 3], raw)
    np.testing.assert_array_equal(tensor.data, values)
    assert tensor.shape == (2, 3)


def test_reading_copies_nothing() -> None:
    raw = np.arange(4, dtype="<f4").tobytes()
    data = from_bytes("x", "FP32", [4], raw).data
    assert np.shares_memory(data, np.frombuffer(raw, np.uint8))


def test_texts_are_written_behind_their_lengths() -> None:
    values = np.array([b"ab", b"", b"\xff"], dtype=object)
    written = b"\2\0\0\0ab" + b"\0\0\0\0" + b"\1\0\0\0\xff"
    assert to_bytes(Tensor("x", BYTES, values)) == written


@pytest.mark.parametrize(
    ("shape", "size"),
    [([2, 3], 23), ([2, 3], 25), ([2**62, 2**62], 24), ([6], 0), ([2**31], 24)],
)
def test_a_size_that_is_not_the_shapes_names_both(shape: list[int], size: int) -> None:
    with pytest.raises(WrongInputError, match=rf"data of input 'x' must be \d+ bytes .* {size} b"):
        from_bytes("x", "FP32", shape, bytes(size))


@pytest.mark.parametrize(
    "shape", [None, 6, "6", [], [0], [-1, 3], [True], [2.0], [[2], 3], [1] * 9, [None], {}]
)
def test_what_is_no_shape_is_refused(shape: object) -> None:
    with pytest.raises(WrongInputError, match="shape of input 'x' must be 1 to 8 whole numbers"):
        from_bytes("x", "FP32", shape, bytes(24))


@pytest.mark.parametrize("datatype", [None, 5, "fp32", "FLOAT", "BF16", BYTES, "BOOL", [], {}])
def test_a_datatype_that_holds_no_numbers_is_refused(datatype: object) -> None:
    with pytest.raises(WrongInputError, match="datatype of input 'x' must be one of UINT8"):
        from_bytes("x", datatype, [2, 3], bytes(24))
