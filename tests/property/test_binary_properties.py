"""Whatever bytes come: read as they were written, or refused with a reason."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.api.v2.decoding import Decoder
from app.errors import RequestError
from app.inference.windows import Windows
from app.protocol.budgets import parse_budget, with_parameters
from app.protocol.outputs import check_outputs
from app.protocol.tensor_reader import TensorReader
from app.protocol.tensors import DTYPES, NUMBERS
from benchmarks.mutated import good_body, mutated_body
from tests.bundles import small_spec

SPEC = small_spec()
DECODER = Decoder()
READER = TensorReader(SPEC, max_batch=3)
NOTHING = parse_budget([])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*SPEC.modality_names, "nobody"]) | scalars,
        "datatype": st.sampled_from([*DTYPES, "BYTES"]) | scalars,
        "shape": st.lists(st.integers(), max_size=4) | anything,
        "data": st.lists(st.floats() | scalars, max_size=5) | anything,
        "parameters": st.fixed_dictionaries({"binary_data_size": scalars}) | anything,
    },
)
requests = st.fixed_dictionaries(
    {"inputs": st.lists(tensors | anything, max_size=4) | anything},
    optional={"id": anything, "parameters": anything, "outputs": anything},
)


def read(body: bytes, length: int | None) -> Windows:
    """All that happens to a body before inference."""
    request = DECODER.decode(body, length, SPEC)
    check_outputs(request.outputs, classes=SPEC.num_classes)
    with_parameters(NOTHING, request.parameters)
    return READER.read(request)


def is_sound(windows: Windows) -> bool:
    """Whether the engine may rely on it."""
    return bool(windows.inputs) and all(
        array.shape == (windows.batch, modality.length, modality.channels)
        and array.dtype == np.float32
        and array.flags.aligned
        and array.flags.c_contiguous
        and bool(np.isfinite(array).all())
        for modality in SPEC.modalities
        if (array := windows.inputs.get(modality.name)) is not None
    )


def is_sound_or_refused(body: bytes, length: int | None) -> bool:
    """Whether a body is refused as a client's mistake, or read as something sound."""
    try:
        return is_sound(read(body, length))
    except RequestError:
        return True


@given(st.integers(0, 2**64))
def test_a_damaged_body_is_read_or_refused(seed: int) -> None:
    assert is_sound_or_refused(*mutated_body(SPEC, random.Random(seed)))


@given(st.integers(0, 2**64))
def test_an_undamaged_body_is_read_as_it_was_written(seed: int) -> None:
    body = good_body(SPEC, random.Random(seed))
    windows = read(*body.to_bytes())
    assert is_sound(windows)
    start = 0
    for sent in body.header["inputs"]:
        size = sent["parameters"]["binary_data_size"]
        assert windows.inputs[sent["name"]].tobytes() == bytes(body.tail[start : start + size])
        start += size


@given(requests | anything, st.none() | st.binary(max_size=40))
def test_any_json_is_read_or_refused(content: Any, tail: bytes | None) -> None:
    text = json.dumps(content).encode()
    assert is_sound_or_refused(text + (tail or b""), None if tail is None else len(text))


@given(st.binary(max_size=80), st.none() | st.integers(0, 100))
def test_any_bytes_are_refused(body: bytes, length: int | None) -> None:
    assert is_sound_or_refused(body, length)


@given(
    st.sampled_from(NUMBERS),
    st.sampled_from(SPEC.modalities),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_json_and_bytes_say_the_same(datatype: str, modality: Any, batch: int, seed: int) -> None:
    shape = [batch, modality.length, modality.channels]
    values = np.random.default_rng(seed).integers(0, 100, shape).astype(DTYPES[datatype])
    plain = {"name": modality.name, "datatype": datatype, "shape": shape}
    raw = values.tobytes()
    size = {"binary_data_size": len(raw)}
    text = orjson.dumps({"inputs": [{**plain, "parameters": size}]})
    as_bytes = read(text + raw, len(text))
    for data in (values.tolist(), values.ravel().tolist()):
        as_json = read(orjson.dumps({"inputs": [{**plain, "data": data}]}), None)
        np.testing.assert_array_equal(as_json.inputs[modality.name], as_bytes.inputs[modality.name])
