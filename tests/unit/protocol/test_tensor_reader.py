from __future__ import annotations

import numpy as np
import pytest

from app.errors import WrongFieldError, WrongInputError
from app.inference.windows import Windows
from app.protocol.tensor_reader import TensorReader
from app.protocol.tensors import DTYPES, NUMBERS, InferRequest, Tensor, from_bytes, to_bytes
from tests.bundles import random_windows, small_spec

SPEC = small_spec()
FIRST = "sensor_0"  # [12, 3]
READER = TensorReader(SPEC, max_batch=4)


def read(*inputs: Tensor, request_id: str | None = None) -> Windows:
    return READER.read(InferRequest(inputs=inputs, id=request_id))


def tensor(data: np.ndarray, datatype: str = "FP32", name: str = FIRST) -> Tensor:
    return Tensor(name, datatype, data.astype(DTYPES[datatype]))


def test_windows_come_out_in_the_models_order() -> None:
    arrays = random_windows(SPEC, batch=2)
    windows = read(*(tensor(a, name=n) for n, a in reversed(arrays.items())), request_id="seven")
    assert list(windows.inputs) == list(SPEC.modality_names)
    assert (windows.presence, windows.batch, windows.id) == (SPEC.full_presence, 2, "seven")
    for name, array in arrays.items():
        np.testing.assert_array_equal(windows.inputs[name], array)


def test_an_input_left_out_is_an_absent_modality() -> None:
    arrays = random_windows(SPEC, ("sensor_1", "sensor_4"))
    windows = read(*(tensor(a[0], name=n) for n, a in arrays.items()))
    assert windows.presence.indices == (1, 4)
    np.testing.assert_array_equal(windows.inputs["sensor_4"], arrays["sensor_4"])


@pytest.mark.parametrize("datatype", NUMBERS)
def test_any_kind_of_number_becomes_float32(datatype: str) -> None:
    whole = np.arange(36).reshape(12, 3)
    array = read(tensor(whole, datatype)).inputs[FIRST]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[0], whole)


def test_float32_is_not_copied() -> None:
    data = np.ones((12, 3), np.float32)
    assert np.shares_memory(read(Tensor(FIRST, "FP32", data)).inputs[FIRST], data)


def test_numbers_at_an_odd_address_become_readable_for_the_engine() -> None:
    whole = tensor(np.arange(36).reshape(12, 3))
    unaligned = from_bytes(FIRST, "FP32", [12, 3], memoryview(b"x" + to_bytes(whole))[1:])
    array = read(unaligned).inputs[FIRST]
    assert array.flags.aligned
    np.testing.assert_array_equal(array[0], whole.data)


@pytest.mark.parametrize("shape", [(12,), (3, 12), (12, 4), (1, 1, 12, 3), (36, 1), (2, 6, 3)])
def test_another_shape_says_what_was_expected_and_what_came(shape: tuple[int, ...]) -> None:
    with pytest.raises(WrongInputError, match=r"got a tensor of shape \[") as caught:
        read(tensor(np.zeros(shape)))
    assert caught.value.facts["expected"] == "[12, 3] numbers, or [batch, 12, 3]"
    assert caught.value.facts["modality"] == FIRST


@pytest.mark.parametrize(
    ("value", "datatype", "shown"),
    [(np.nan, "FP32", "nan"), (-np.inf, "FP16", "-inf"), (1e39, "FP64", r"1e\+39")],
)
def test_a_value_that_is_not_finite_is_shown_with_its_place(
    value: float, datatype: str, shown: str
) -> None:
    data = np.zeros((2, 12, 3))
    data[1, 4, 2] = value
    with pytest.raises(WrongInputError, match=rf"got {shown} at \[1, 4, 2\]"):
        read(tensor(data, datatype))


def test_a_modality_sent_twice_is_refused() -> None:
    with pytest.raises(WrongInputError, match="'sensor_0' was sent more than once"):
        read(tensor(np.zeros((12, 3))), tensor(np.zeros((12, 3))))


def test_an_unknown_input_is_named_beside_those_known() -> None:
    with pytest.raises(WrongInputError, match=r"unknown modality 'left_foot'.*sensor_0"):
        read(tensor(np.zeros((12, 3)), name="left_foot"))


def test_no_input_at_all_lists_what_there_is() -> None:
    with pytest.raises(WrongInputError, match=r"no modality is present.*sensor_4"):
        read()


def test_inputs_of_different_batch_are_refused() -> None:
    first, second = np.zeros((2, 12, 3)), np.zeros((10, 2))
    with pytest.raises(WrongInputError, match="'sensor_1' holds 1 windows and 'sensor_0' holds 2"):
        read(tensor(first), tensor(second, name="sensor_1"))


def test_a_batch_above_the_limit_states_it() -> None:
    with pytest.raises(WrongInputError, match="at most 4"):
        read(tensor(np.zeros((5, 12, 3))))


def test_an_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(WrongFieldError, match="id must be a string"):
        read(tensor(np.zeros((12, 3))), request_id="x" * 129)


def test_nan_is_a_value_not_measured_where_values_may_be_missing() -> None:
    reader = TensorReader(small_spec(gaps=(0,)), max_batch=4)
    data = np.ones((12, 3), np.float32)
    data[4, 1] = np.nan
    windows = reader.read(InferRequest(inputs=(tensor(data),), id=None))
    np.testing.assert_array_equal(windows.inputs[FIRST][0], data)
    data[7, 2] = np.inf
    with pytest.raises(WrongInputError, match=r"inf at \[7, 2\]"):
        reader.read(InferRequest(inputs=(tensor(data),), id=None))
