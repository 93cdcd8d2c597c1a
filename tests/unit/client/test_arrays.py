from __future__ import annotations

import numpy as np
import pytest

from app.client import WrongInputError
from app.client.arrays import present_arrays


def test_absent_sensors_are_left_out_and_the_rest_become_float32() -> None:
    windows = present_arrays({"a": np.arange(6).reshape(3, 2), "b": None, "c": [[1.5]]})
    assert list(windows) == ["a", "c"]
    assert {w.dtype for w in windows.values()} == {np.dtype("<f4")}
    np.testing.assert_array_equal(windows["a"], [[0, 1], [2, 3], [4, 5]])


def test_memory_order_and_byte_order_do_not_matter() -> None:
    asked = np.arange(24, dtype=">f8").reshape(2, 3, 4)
    sent = present_arrays({"a": asked.transpose(2, 0, 1)})["a"]
    assert sent.flags.c_contiguous
    np.testing.assert_array_equal(sent, asked.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([[1.0], [1.0, 2.0]], "torso: not an array"),
        ([["a"]], "torso: values must be real numbers"),
        ([[1j]], "torso: values must be real numbers"),
        ([[np.nan]], "torso: values must be finite"),
        ([[1e39]], "torso: values must be finite"),
        ([[None]], "torso: values must be real numbers"),
    ],
)
def test_what_can_not_be_computed_with_is_refused_by_name(value: object, complaint: str) -> None:
    with pytest.raises(WrongInputError, match=complaint) as caught:
        present_arrays({"torso": value})  # type: ignore[dict-item]
    assert caught.value.modality == "torso"


def test_nan_is_a_value_not_measured_where_gaps_are_allowed() -> None:
    sent = present_arrays({"torso": [[1.0, np.nan]]}, gaps=True)["torso"]
    np.testing.assert_array_equal(sent, [[1.0, np.nan]])
    with pytest.raises(WrongInputError, match="finite float32 numbers, or NaN"):
        present_arrays({"torso": [[np.inf]]}, gaps=True)
