"""Whatever comes over gRPC is read as it was meant, or refused with a reason."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import RequestError
from app.inference.windows import Windows
from app.protocol.tensor_reader import TensorReader
from app.protocol.tensors import DTYPES
from app.rpc import open_inference_pb2 as pb
from app.rpc.call import parse
from app.rpc.messages import infer_request, parameters
from tests.bundles import random_windows, small_spec

SPEC = small_spec()
READER = TensorReader(SPEC, max_batch=4)
NAMES = (*SPEC.modality_names, "", "nose")
BYTES = st.binary(max_size=64)
CUTS = st.tuples(st.integers(0, 6000), st.integers(0, 40), BYTES)
LENGTHS = st.lists(
    st.sampled_from([0, 1, 2, 3, 7, 9, 10, 12, -1, 5, 2**31, 2**62, -(2**63)]), max_size=4
)


def good_message(*, raw: bool) -> bytes:
    request = pb.ModelInferRequest(model_name="toy", id="x")
    request.parameters["latency_budget_ms"].double_param = 5
    for name, array in random_windows(SPEC, batch=2).items():
        tensor = request.inputs.add(name=name, datatype="FP32", shape=array.shape)
        if raw:
            request.raw_input_contents.append(array.astype("<f4").tobytes())
        else:
            tensor.contents.fp32_contents.extend(array.ravel().tolist())
    return request.SerializeToString()


GOOD = {raw: good_message(raw=raw) for raw in (True, False)}


def read(data: bytes) -> Windows | None:
    """Read a message as the service does; None if it is refused."""
    try:
        message = parse(pb.ModelInferRequest, data)
        parameters(message.parameters)
        windows = READER.read(infer_request(message))
    except RequestError:
        return None
    return windows


def is_sound(windows: Windows | None) -> bool:
    """Whether the engine may rely on it; so it may on nothing, which is a refusal."""
    return windows is None or all(
        array.dtype == np.float32
        and array.shape == (windows.batch, modality.length, modality.channels)
        and bool(np.isfinite(array).all())
        for modality in SPEC.modalities
        if (array := windows.inputs.get(modality.name)) is not None
    )


def test_what_is_well_formed_is_read_alike_as_bytes_and_as_elements() -> None:
    raw, typed = read(GOOD[True]), read(GOOD[False])
    assert raw is not None
    assert typed is not None
    for name, array in raw.inputs.items():
        np.testing.assert_array_equal(array, typed.inputs[name])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    raw=st.booleans(),
    cuts=st.lists(
        st.tuples(st.integers(0, 6000), st.integers(0, 40), BYTES), min_size=1, max_size=4
    ),
)
def test_damaged_messages_are_read_or_refused(
    raw: bool, cuts: list[tuple[int, int, bytes]]
) -> None:
    data = GOOD[raw]
    for start, length, instead in cuts:
        start %= len(data) + 1
        data = data[:start] + instead + data[start + length :]
    assert is_sound(read(data))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Messages that are messages, of tensors that hardly ever fit."""
    request = pb.ModelInferRequest(id=draw(st.text(max_size=140)))
    for _ in range(draw(st.integers(0, 4))):
        tensor = request.inputs.add(
            name=draw(st.sampled_from(NAMES)),
            datatype=draw(st.sampled_from([*DTYPES, "BYTES", "BF16", ""])),
            shape=draw(st.sampled_from([(12, 3), (1, 12, 3), (10, 2)]) | LENGTHS),
        )
        if draw(st.booleans()):
            tensor.contents.fp32_contents.extend(draw(st.lists(st.floats(width=32), max_size=3)))
            tensor.contents.int_contents.extend([draw(st.integers(-(2**31), 2**31 - 1))] * 36)
            tensor.contents.uint64_contents.extend([2**64 - 1] * draw(st.sampled_from([0, 36])))
    sizes = st.sampled_from([0, 1, 35, 36, 72, 144, 288])
    for _ in range(draw(st.integers(0, 4))):
        request.raw_input_contents.append(
            draw(st.sampled_from([b"\0", b"\xff", b"\1"])) * draw(sizes)
        )
    return request.SerializeToString()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=requests())
def test_tensors_that_lie_are_refused(data: bytes) -> None:
    assert is_sound(read(data))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert is_sound(read(data))
