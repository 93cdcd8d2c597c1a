from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from app.api.payload import WindowReader
from app.errors import MalformedError, RequestError, WrongFieldError, WrongInputError
from app.inference.windows import Windows
from tests.bundles import random_windows, small_spec

SPEC = small_spec()
ARRAYS = {name: window[0] for name, window in random_windows(SPEC).items()}
ROWS = {name: window.tolist() for name, window in ARRAYS.items()}
FIRST = "sensor_0"  # [12, 3]


def read(content: object, *, max_batch: int = 4) -> Windows:
    return WindowReader(SPEC, max_batch=max_batch).read(json.dumps(content).encode())


def with_value(value: object) -> dict[str, Any]:
    rows = copy.deepcopy(ROWS[FIRST])
    rows[4][1] = value
    return {"inputs": {FIRST: rows}}


def test_windows_come_out_as_they_went_in() -> None:
    windows = read({"inputs": ROWS})
    assert windows.presence == SPEC.full_presence
    assert windows.batch == 1
    assert windows.id is None
    for name, array in ARRAYS.items():
        assert windows.inputs[name].dtype == np.float32
        np.testing.assert_array_equal(windows.inputs[name], array[np.newaxis])


def test_a_batch_keeps_its_order() -> None:
    batch = random_windows(SPEC, batch=3)
    windows = read({"inputs": {name: window.tolist() for name, window in batch.items()}})
    assert windows.batch == 3
    for name, window in batch.items():
        np.testing.assert_array_equal(windows.inputs[name], window)


def test_a_batch_of_one_is_the_same_as_no_batch() -> None:
    one, plain = read({"inputs": {FIRST: [ROWS[FIRST]]}}), read({"inputs": {FIRST: ROWS[FIRST]}})
    np.testing.assert_array_equal(one.inputs[FIRST], plain.inputs[FIRST])


def test_null_and_left_out_both_mean_absent() -> None:
    some = {"sensor_4": ROWS["sensor_4"], "sensor_1": None, FIRST: ROWS[FIRST]}
    windows = read({"inputs": some})
    assert windows.presence.indices == (0, 4)
    assert list(windows.inputs) == [FIRST, "sensor_4"]


def test_whole_numbers_are_numbers() -> None:
    rows = np.arange(36).reshape(12, 3)
    np.testing.assert_array_equal(read({"inputs": {FIRST: rows.tolist()}}).inputs[FIRST][0], rows)


def test_the_id_comes_along() -> None:
    assert read({"inputs": {FIRST: ROWS[FIRST]}, "id": "mine"}).id == "mine"


@pytest.mark.parametrize(
    "beside", [{"note": "[[ in a string"}, {"more": [[1]]}, {"id": 'a "quoted" id'}, {"x": True}]
)
def test_an_unusual_request_is_read_like_any_other(beside: dict[str, Any]) -> None:
    windows = read({"inputs": ROWS, **beside})
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(windows.inputs[name], array[np.newaxis])


def test_of_a_modality_sent_twice_the_last_counts() -> None:
    body = f'{{"inputs": {{"{FIRST}": null, "{FIRST}": {json.dumps(ROWS[FIRST])}}}}}'.encode()
    windows = WindowReader(SPEC, max_batch=4).read(body)
    np.testing.assert_array_equal(windows.inputs[FIRST][0], ARRAYS[FIRST])


@pytest.mark.parametrize("content", [[], 5, None, "x", {}, {"inputs": []}, {"inputs": None}])
def test_a_body_without_inputs_says_what_is_wanted(content: object) -> None:
    with pytest.raises(WrongInputError, match="inputs"):
        read(content)


@pytest.mark.parametrize("inputs", [{}, {FIRST: None}])
def test_no_modality_at_all_lists_what_there_is(inputs: dict[str, Any]) -> None:
    with pytest.raises(WrongInputError, match=r"no modality is present.*sensor_4"):
        read({"inputs": inputs})


def test_an_unknown_modality_is_named_beside_those_known() -> None:
    with pytest.raises(WrongInputError, match=r"unknown modality 'left_foot'.*sensor_0") as caught:
        read({"inputs": {**ROWS, "left_foot": [[1.0]]}})
    assert caught.value.facts["modality"] == "left_foot"


WRONG_WINDOWS = [
    (ROWS[FIRST][:-1], r"\[11, 3\]"),
    ([row[:-1] for row in ROWS[FIRST]], "2 channels in row 0"),
    ([*ROWS[FIRST][:5], [1.0, 2.0], *ROWS[FIRST][6:]], "2 channels in row 5"),
    ([[1.0] * 4, [1.0] * 2, *ROWS[FIRST][2:]], "4 channels in row 0"),
    ([], "array of 0"),
    ([[]], "array of 0"),
    ([[[]]], "array of 0"),
    (5, "a number"),
    ("window", "the string 'window'"),
    (True, "a boolean"),
    ({"x": 1}, "an object"),
    ([1.0] * 12, "nested 1 deep"),
    ([[ROWS[FIRST]]], "nested 4 deep"),
    ([[[ROWS[FIRST]]]], "array of 3"),
    ([ROWS[FIRST], ROWS[FIRST][:-1]], r"\[11, 3\] in window 1"),
    ([ROWS[FIRST], 5], "nested 1 deep"),
    ([[[value] for value in row] for row in ROWS[FIRST]], "channels in row"),
]


@pytest.mark.parametrize(("window", "message"), WRONG_WINDOWS)
def test_a_window_of_another_shape_says_what_was_expected_and_what_came(
    window: object, message: str
) -> None:
    with pytest.raises(WrongInputError, match=message) as caught:
        read({"inputs": {FIRST: window}})
    assert caught.value.facts["modality"] == FIRST
    assert caught.value.facts["expected"] == "[12, 3] numbers, or [batch, 12, 3]"


WRONG_VALUES = [
    ("a", "the string 'a' at"),
    ("1.5", r"the string '1.5' at \[4, 1\]"),
    (None, r"null at \[4, 1\]"),
    (True, r"a boolean at \[4, 1\]"),
    (False, r"a boolean at \[4, 1\]"),
    ([5.0], r"nested 3 deep at \[4, 1, 0\]"),
    ([], r"array of 0 at \[4, 1\]"),
    ({}, r"an object at \[4, 1\]"),
    (float("nan"), r"nan at \[4, 1\]"),
    (float("inf"), r"inf at \[4, 1\]"),
    (1e39, r"1e\+39 at \[4, 1\]"),
    (-1e300, r"-1e\+300 at \[4, 1\]"),
    (10**40, r"at \[4, 1\]"),
    (10**400, "too large"),
]


@pytest.mark.parametrize(("value", "message"), WRONG_VALUES)
def test_a_value_that_is_no_number_is_shown_with_its_place(value: object, message: str) -> None:
    with pytest.raises(WrongInputError, match=message) as caught:
        read(with_value(value))
    assert caught.value.facts["modality"] == FIRST


def test_the_largest_float32_is_a_number() -> None:
    largest = float(np.finfo(np.float32).max)
    assert read(with_value(largest)).inputs[FIRST][0, 4, 1] == np.float32(largest)


def test_batches_of_different_size_are_refused_by_name() -> None:
    inputs = {FIRST: [ROWS[FIRST]] * 2, "sensor_1": ROWS["sensor_1"]}
    with pytest.raises(WrongInputError, match="'sensor_1' holds 1 windows and 'sensor_0' holds 2"):
        read({"inputs": inputs})


def test_a_batch_above_the_limit_states_it() -> None:
    with pytest.raises(WrongInputError, match="at most 4"):
        read({"inputs": {FIRST: [ROWS[FIRST]] * 5}})


@pytest.mark.parametrize("value", [5, True, [], {}, "x" * 129])
def test_an_id_that_is_no_short_string_is_refused(value: object) -> None:
    with pytest.raises(WrongFieldError, match="id must be a string"):
        read({"inputs": {FIRST: ROWS[FIRST]}, "id": value})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"\xff\xfe",
        b'{"inputs": {}} x',
        b'{"a": NaN}x',
        b"[" * 5000,
        b'{"inputs":' + b"[" * 90_000 + b"NaN",
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        WindowReader(SPEC, max_batch=4).read(body)


def test_nan_beside_good_windows_is_malformed_all_the_same() -> None:
    with pytest.raises(MalformedError):
        read({"inputs": ROWS, "more": float("nan")})


def test_arrays_nested_five_hundred_deep_are_refused() -> None:
    deep: Any = 1.0
    for _ in range(500):
        deep = [deep]
    with pytest.raises(RequestError):
        read({"inputs": {FIRST: deep}})


def test_null_inside_a_window_is_nan_where_values_may_be_missing() -> None:
    reader = WindowReader(small_spec(gaps=(0,)), max_batch=4)
    windows = reader.read(json.dumps(with_value(None)).encode())
    assert np.isnan(windows.inputs[FIRST]).nonzero() == ([0], [4], [1])


@pytest.mark.parametrize(
    ("value", "received"),
    [("1.5", "the string '1.5' at [4, 1]"), (1e39, "1e+39 at [4, 1]"), ([], "an array of 0")],
)
def test_where_values_may_be_missing_what_is_no_number_is_refused(
    value: object, received: str
) -> None:
    reader = WindowReader(small_spec(gaps=(0,)), max_batch=4)
    with pytest.raises(WrongInputError) as caught:
        reader.read(json.dumps(with_value(value)).encode())
    assert received in str(caught.value)


def test_null_inside_a_window_of_another_modality_is_refused() -> None:
    with pytest.raises(WrongInputError, match=r"got null at \[4, 1\]"):
        WindowReader(small_spec(gaps=(1,)), max_batch=4).read(json.dumps(with_value(None)).encode())
