from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from app.api.v2.decoding import Decoder
from app.api.v2.regular import RegularJson
from app.errors import MalformedError, TooDeepError, WrongInputError
from app.protocol.tensors import InferRequest, RequestedOutput
from tests.bundles import small_spec

SPEC = small_spec()
ALONE = small_spec(((4, 1),))
ROWS = np.arange(36, dtype=np.float32).reshape(12, 3)
PLAIN = {"name": "sensor_0", "datatype": "FP32", "shape": [12, 3]}


def decode(content: object, tail: bytes | None = None) -> InferRequest:
    text = orjson.dumps(content)
    if tail is None:
        return Decoder().decode(text, None, SPEC)
    return Decoder().decode(text + tail, len(text), SPEC)


def regular(content: object) -> InferRequest | None:
    return RegularJson().read(orjson.dumps(content))


DATA = {
    "flat": ([12, 3], ROWS.ravel().tolist()),
    "nested": ([12, 3], ROWS.tolist()),
    "batch": ([2, 12, 3], [ROWS.tolist()] * 2),
    "flat batch": ([2, 12, 3], ROWS.ravel().tolist() * 2),
}


@pytest.mark.parametrize("form", DATA)
def test_ordinary_json_goes_the_fast_way_and_says_the_same_as_the_slow_one(form: str) -> None:
    shape, data = DATA[form]
    content: dict[str, Any] = {
        "id": "seven",
        "parameters": {"timeout": 5, "priority": 1.5, "a": "b", "binary_data_output": True},
        "inputs": [{**PLAIN, "shape": shape, "data": data}],
        "outputs": [{"name": "label", "parameters": {"binary_data": False}}, {"name": "index"}],
    }
    fast, slow = regular(content), decode({**content, "note": "["})
    assert fast is not None
    assert (fast.id, fast.parameters, fast.outputs) == (slow.id, slow.parameters, slow.outputs)
    assert fast.outputs == (
        RequestedOutput("label", {"binary_data": False}),
        RequestedOutput("index"),
    )
    for one in (fast, slow):
        np.testing.assert_array_equal(one.inputs[0].data, np.broadcast_to(ROWS, shape))


@pytest.mark.parametrize(
    "fields",
    [
        {"data": [*ROWS[:-1].tolist(), [1.0, 2.0, [3.0]]]},
        {"data": [*ROWS[:-2].tolist(), [1.0] * 4, [1.0] * 2]},
        {"data": ROWS.reshape(3, 12).tolist()},
        {"data": [[ROWS.tolist()]]},
        {"data": ["1"] * 36},
        {"data": [True] * 36},
        {"data": [None] * 36},
        {"shape": [36.0]},
        {"shape": [True, 36], "data": [0.0] * 36},
        {"datatype": "BOOL"},
        {"name": 5},
    ],
)
def test_what_is_odd_is_left_to_the_slow_way_which_refuses_it(fields: dict[str, Any]) -> None:
    content = {"inputs": [{**PLAIN, "data": ROWS.tolist(), **fields}]}
    assert regular(content) is None
    with pytest.raises(WrongInputError):
        decode(content)


def test_bytes_are_taken_in_the_order_of_the_inputs() -> None:
    first = {**PLAIN, "parameters": {"binary_data_size": 144}}
    third = {**first, "name": "sensor_3", "datatype": "FP64"}
    third["parameters"] = {"binary_data_size": 288}
    second = {"name": "sensor_1", "datatype": "FP32", "shape": [1], "data": [7]}
    tail = ROWS.tobytes() + (2.0 * ROWS).astype("<f8").tobytes()
    request = decode({"inputs": [first, second, third]}, tail)
    np.testing.assert_array_equal(request.inputs[0].data, ROWS)
    np.testing.assert_array_equal(request.inputs[1].data, [7])
    np.testing.assert_array_equal(request.inputs[2].data, 2 * ROWS)


def test_null_is_a_value_not_measured_where_there_may_be_gaps() -> None:
    data: list[Any] = ROWS.ravel().tolist()
    data[4] = None
    content: dict[str, Any] = {"inputs": [{**PLAIN, "data": data}]}
    assert regular(content) is None
    (tensor,) = Decoder().decode(orjson.dumps(content), None, small_spec(gaps=(0,))).inputs
    assert np.isnan(tensor.data.ravel()[4])
    assert np.isfinite(tensor.data).sum() == ROWS.size - 1
    with pytest.raises(WrongInputError, match=r"numbers, flat or nested, got null at \[4\]"):
        decode(content)
    content["inputs"][0]["data"] = [*data[:-1], "x"]
    with pytest.raises(WrongInputError, match=r"numbers or nulls, flat or nested, got the string"):
        Decoder().decode(orjson.dumps(content), None, small_spec(gaps=(0,)))


def test_a_model_with_one_input_takes_bare_bytes() -> None:
    body = np.arange(8, dtype="<f4").tobytes()
    (tensor,) = Decoder().decode(body, 0, ALONE).inputs
    assert (tensor.name, tensor.shape) == ("sensor_0", (2, 4, 1))
    for wrong in (body[:-1], b""):
        with pytest.raises(WrongInputError, match="data of input 'sensor_0' must be"):
            Decoder().decode(wrong, 0, ALONE)
    with pytest.raises(MalformedError, match="only for a model with one input"):
        Decoder().decode(body, 0, SPEC)


def test_a_nan_in_json_names_its_input() -> None:
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, NaN]}]}'
    with pytest.raises(WrongInputError, match="data of input 'x' must be finite numbers"):
        Decoder().decode(body, None, SPEC)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"inputs":' * 100_000, b'{"a": NaN}x'])
def test_nesting_of_any_depth_is_merely_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        Decoder().decode(body, None, SPEC)


def test_data_nested_hundreds_deep_are_refused() -> None:
    deep: Any = 1.0
    for _ in range(200):
        deep = [deep]
    with pytest.raises(TooDeepError):
        decode({"inputs": [{**PLAIN, "data": deep}]})
    with pytest.raises(WrongInputError, match="data of input 'sensor_0' must be numbers"):
        decode({"inputs": [{**PLAIN, "data": [[[[1.0]]]]}]})
