from __future__ import annotations

import numpy as np
import pytest

from app.errors import MalformedError, WrongInputError
from app.protocol.tensors import DTYPES, InferResponse, Tensor
from app.rpc import open_inference_pb2 as pb
from app.rpc.messages import infer_message, infer_request

TYPED = sorted(set(DTYPES) - {"BOOL", "FP16"})
FIELDS = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT64": "int64_contents"}


def typed(datatype: str, field: str, values: list[float]) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest()
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[2, 3])
    getattr(tensor.contents, field).extend(values)
    return request


def field_of(datatype: str) -> str:
    if datatype == "UINT64":
        return "uint64_contents"
    return FIELDS.get(datatype) or ("uint_contents" if datatype[0] == "U" else "int_contents")


@pytest.mark.parametrize("datatype", TYPED)
def test_elements_of_every_datatype_are_read(datatype: str) -> None:
    (tensor,) = infer_request(typed(datatype, field_of(datatype), [*range(6)])).inputs
    np.testing.assert_array_equal(tensor.data, np.arange(6).reshape(2, 3))
    assert tensor.data.dtype == DTYPES[datatype]


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BOOL"}))
def test_bytes_of_every_datatype_are_read(datatype: str) -> None:
    raw = np.arange(6, dtype=DTYPES[datatype]).tobytes()
    request = pb.ModelInferRequest(raw_input_contents=[raw])
    request.inputs.add(name="x", datatype=datatype, shape=[2, 3])
    (tensor,) = infer_request(request).inputs
    np.testing.assert_array_equal(tensor.data, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("datatype", "field", "values", "message"),
    [
        ("FP32", "fp32_contents", [0.0] * 5, "6 fp32_contents for 2x3 FP32, got 5"),
        ("FP32", "fp64_contents", [0.0] * 6, "6 fp32_contents for 2x3 FP32, got 0"),
        ("FP16", "fp32_contents", [0.0] * 6, "in raw_input_contents for FP16"),
        ("INT8", "int_contents", [0, 0, 0, 0, 0, 300], "numbers that fit INT8"),
        ("UINT16", "uint_contents", [0, 0, 0, 0, 0, 1 << 20], "numbers that fit UINT16"),
        ("BYTES", "bytes_contents", [b""] * 6, "datatype of input 'x' must be one of"),
        ("", "fp32_contents", [0.0] * 6, "datatype of input 'x' must be one of"),
    ],
)
def test_elements_that_do_not_fit_are_refused(
    datatype: str, field: str, values: list[float], message: str
) -> None:
    with pytest.raises(WrongInputError, match=message):
        infer_request(typed(datatype, field, values))


def test_bytes_need_an_input_each() -> None:
    request = pb.ModelInferRequest(raw_input_contents=[bytes(24), bytes(24)])
    request.inputs.add(name="x", datatype="FP32", shape=[2, 3])
    with pytest.raises(MalformedError, match="an entry for each of 1 inputs, got 2"):
        infer_request(request)


def test_bytes_and_elements_exclude_each_other() -> None:
    request = typed("FP32", "fp32_contents", [0.0] * 6)
    request.raw_input_contents.append(bytes(24))
    with pytest.raises(MalformedError, match="'x' has contents beside raw_input_contents"):
        infer_request(request)


def test_parameters_of_every_kind_are_read_and_empty_ones_are_not() -> None:
    request = pb.ModelInferRequest()
    request.parameters["flag"].bool_param = True
    request.parameters["count"].int64_param = -3
    request.parameters["size"].uint64_param = 2**63
    request.parameters["share"].double_param = 0.5
    request.parameters["name"].string_param = "x"
    request.parameters["empty"].SetInParent()
    read = {"flag": True, "count": -3, "size": 2**63, "share": 0.5, "name": "x"}
    assert infer_request(request).parameters == read


@pytest.mark.parametrize("raw", [True, False])
def test_an_answer_travels_as_the_request_did(raw: bool) -> None:
    texts = np.empty(2, dtype=object)
    texts[:] = [b"walk", b"run"]
    outputs = (
        Tensor("probabilities", "FP32", np.array([[0.25, 0.75]], np.float32)),
        Tensor("label", "BYTES", texts),
        Tensor("index", "INT64", np.array([1])),
    )
    response = InferResponse(
        model_name="m", model_version="1", outputs=outputs, parameters={"a": 1}
    )
    message = infer_message(response, raw=raw)
    assert [list(output.shape) for output in message.outputs] == [[1, 2], [2], [1]]
    assert message.parameters["a"].int64_param == 1
    if raw:
        floats, strings, _ = message.raw_output_contents
        assert np.frombuffer(floats, "<f4").tolist() == [0.25, 0.75]
        assert strings == b"\4\0\0\0walk\3\0\0\0run"
    else:
        contents = [output.contents for output in message.outputs]
        assert not message.raw_output_contents
        assert contents[0].fp32_contents == [0.25, 0.75]
        assert contents[1].bytes_contents == [b"walk", b"run"]
        assert contents[2].int64_contents == [1]
