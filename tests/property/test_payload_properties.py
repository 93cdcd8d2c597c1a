from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.api.payload import WindowReader
from app.errors import RequestError
from tests.bundles import small_spec

SPEC = small_spec(((2, 2), (3, 1)))
READER = WindowReader(SPEC, max_batch=3)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "a", "1.5"])
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=20)
nearly = st.lists(st.lists(numbers | scalars, min_size=1, max_size=2), min_size=2, max_size=3)


@given(st.fixed_dictionaries({}, optional={"sensor_0": anything | nearly, "sensor_1": nearly}))
def test_whatever_is_sent_is_read_or_refused_with_a_reason(inputs: dict[str, object]) -> None:
    with suppress(RequestError):
        windows = READER.read(json.dumps({"inputs": inputs}).encode())
        for name, array in windows.inputs.items():
            sent = np.array(inputs[name], dtype=np.float32)
            np.testing.assert_array_equal(array.ravel(), sent.ravel())
            assert "true" not in json.dumps(inputs[name])
            assert '"' not in json.dumps(inputs[name])


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_with_a_reason(body: bytes) -> None:
    with suppress(RequestError):
        READER.read(body)


@given(
    st.integers(1, 3).flatmap(
        lambda batch: st.lists(numbers, min_size=4 * batch, max_size=4 * batch)
    )
)
def test_the_fast_and_the_slow_way_agree(values: list[float]) -> None:
    window = np.array(values, dtype=np.float32).reshape(-1, 2, 2)
    content = {"inputs": {"sensor_0": window.tolist()}}
    fast = READER.read(json.dumps(content).encode())
    slow = READER.read(json.dumps({**content, "note": "[["}).encode())
    np.testing.assert_array_equal(fast.inputs["sensor_0"], window)
    np.testing.assert_array_equal(slow.inputs["sensor_0"], window)
