"""The Open Inference Protocol as bytes on the wire: what no client library would send."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from app.api.v2 import schemas
from tests.bundles import random_windows
from tests.integration.http_server import HttpService, StartHttp

INFER = "/v2/models/toy/infer"
LENGTH = "Inference-Header-Content-Length"


def tensor(service: HttpService, **fields: Any) -> dict[str, Any]:
    window = random_windows(service.bundle.spec, ("sensor_0",))["sensor_0"][0]
    plain = {"name": "sensor_0", "datatype": "FP32", "shape": list(window.shape)}
    return {**plain, "data": window.tolist(), **fields}


def ask(service: HttpService, *inputs: Any, **fields: Any) -> httpx.Response:
    return service.client.post(INFER, json={"inputs": inputs, **fields})


def ask_binary(service: HttpService, header: Any, tail: bytes, length: object) -> httpx.Response:
    text = header if isinstance(header, bytes) else orjson.dumps(header)
    sent = str(len(text) if length is None else length)
    return service.client.post(INFER, content=text + tail, headers={LENGTH: sent})


def test_the_answers_have_the_documented_form(service: HttpService) -> None:
    get = service.client.get
    schemas.ServerMetadata.model_validate(get("/v2").json())
    schemas.ServerLive.model_validate(get("/v2/health/live").json())
    schemas.ServerReady.model_validate(get("/v2/health/ready").json())
    schemas.ModelMetadata.model_validate(get("/v2/models/toy").json())
    schemas.ModelReady.model_validate(get("/v2/models/toy/versions/2/ready").json())
    answer = ask(service, tensor(service), id="seven")
    assert answer.headers["content-type"] == "application/json"
    assert schemas.InferResponse.model_validate(answer.json()).id == "seven"


def test_data_may_be_flat_or_nested_and_odd_in_passing(service: HttpService) -> None:
    nested = tensor(service)
    flat = tensor(service, data=np.ravel(nested["data"]).tolist())
    batched = tensor(service, shape=[1, 12, 3], data=[nested["data"]])
    answers = [
        ask(service, one, **fields).json()["outputs"]
        for one in (nested, flat, batched)
        for fields in ({}, {"id": "["})  # a bracket in a text takes the slow way
    ]
    assert all(answer == answers[0] for answer in answers)


def test_the_headers_of_an_answer_are_those_of_the_native_api(service: HttpService) -> None:
    response = service.client.post(
        INFER,
        json={"inputs": [tensor(service)], "parameters": {"handling": "lenient"}},
        headers={"X-Request-Id": "abc-123"},
    )
    assert response.headers["x-request-id"] == "abc-123"
    assert response.headers["sentryfuse-budget-met"] == "true"
    assert response.headers["sentryfuse-variant"] == response.json()["parameters"]["variant"]
    assert response.headers["preference-applied"] == "handling=lenient"
    assert "inference;dur=" in response.headers["server-timing"]


def test_the_least_energy_may_be_preferred_in_a_parameter(service: HttpService) -> None:
    windows = random_windows(service.bundle.spec, service.bundle.spec.modality_names)
    inputs = [
        {"name": n, "datatype": "FP32", "shape": [*w.shape], "data": w.ravel().tolist()}
        for n, w in windows.items()
    ]
    response = ask(service, *inputs, parameters={"energy": "least"})
    assert response.headers["preference-applied"] == "energy=least"
    answered = response.json()["parameters"]
    assert answered["ratio"] == 0.9
    assert answered["budget_met"]
    assert "as preferred" in answered["reason"]


def test_a_strict_budget_that_no_machine_could_meet_says_the_least(service: HttpService) -> None:
    asked = {"energy_budget_mj": 1e-6, "handling": "strict"}
    response = ask(service, tensor(service), parameters=asked)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:sentryfuse:problem:impossible-budget"
    assert response.json()["error"] == response.json()["detail"]


def test_paths_that_there_are_not_answer_in_the_protocols_form(service: HttpService) -> None:
    for method, path, status in (
        ("GET", "/v2/nothing", 404),
        ("GET", INFER, 405),
        ("POST", "/v2/models/a/b/infer", 404),
        ("POST", "/v2/models/toy/versions/9/infer", 404),
        ("GET", "/v2/models/nobody/ready", 404),
    ):
        response = service.client.request(method, path)
        assert response.status_code == status
        assert response.json()["error"]


@pytest.mark.parametrize("path", ["/v1/models/{model}/infer", "/v2/models/{model}/infer"])
def test_the_name_of_a_route_is_no_model(service: HttpService, path: str) -> None:
    response = service.client.post(path, json={"inputs": [tensor(service)]})
    assert response.status_code == 404


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data"])
def test_other_media_types_are_refused(service: HttpService, media_type: str) -> None:
    response = service.client.post(INFER, content=b"{}", headers={"Content-Type": media_type})
    assert response.status_code == 415
    assert "application/octet-stream" in response.json()["error"]


WRONG: list[tuple[Any, int, str]] = [
    (b"", 400, "empty"),
    (b"{", 400, "not JSON"),
    ([], 422, "an array of 0"),
    ({}, 422, "null"),
    ({"inputs": {}}, 422, "an object"),
    ({"inputs": []}, 422, "no modality is present"),
    ({"inputs": [5]}, 422, "a number"),
    ({"inputs": [{"name": 5}]}, 422, "a number"),
    ({"inputs": [{"name": "sensor_0"}]}, 422, "shape of input 'sensor_0'"),
]


@pytest.mark.parametrize(("content", "status", "message"), WRONG)
def test_a_body_that_is_no_request_is_refused(
    service: HttpService, content: Any, status: int, message: str
) -> None:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    response = service.client.post(INFER, content=body)
    assert response.status_code == status
    assert message in response.json()["error"]


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": "left_foot"}, "unknown modality 'left_foot'"),
    ({"datatype": "BYTES"}, "datatype of input 'sensor_0'"),
    ({"shape": [3, 12], "data": [0.0] * 36}, "a tensor of shape [3, 12]"),
    ({"shape": [12, 3, -1]}, "shape of input 'sensor_0'"),
    ({"data": [1.0]}, "shape [1]"),
    ({"data": None}, "null"),
    ({"data": [[0.0] * 3] * 11 + [[0.0] * 2]}, "rows that differ"),
    ({"data": [[0.0] * 12] * 3}, "shape [3, 12]"),
    ({"data": [0.0] * 35 + ["a"]}, "the string 'a' at [35]"),
    ({"data": [0.0] * 35 + [True]}, "a boolean at [35]"),
    ({"data": [0.0] * 35 + [[0.0]]}, "nested"),
    ({"data": [0.0] * 35 + [1e39]}, "1e+39 at [11, 2]"),
    ({"parameters": []}, "must be an object, got an array"),
    ({"parameters": {"a": None}}, "must be a string, number or boolean"),
    ({"parameters": {"shared_memory_region": "x"}}, "shared memory"),
    ({"parameters": {"binary_data_size": 144}}, "got both"),
]


@pytest.mark.parametrize(("fields", "message"), FIELDS)
def test_a_tensor_that_contradicts_itself_is_named(
    service: HttpService, fields: dict[str, Any], message: str
) -> None:
    response = ask(service, tensor(service, **fields))
    assert response.status_code == 422
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": 5}, "id must be a string"),
        ({"id": "x" * 129}, "at most 128"),
        ({"outputs": {}}, "outputs must be an array"),
        ({"outputs": [5]}, "must be an object with a name"),
        ({"outputs": [{"name": "label", "parameters": {"binary_data": 1}}]}, "true or false"),
        ({"outputs": [{"name": "label", "parameters": {"shared_memory_region": "x"}}]}, "shared"),
        ({"parameters": 5}, "parameters must be an object"),
        ({"parameters": {"binary_data_output": "yes"}}, "true or false"),
        ({"parameters": {"timeout": {}}}, "must be a string, number or boolean"),
    ],
)
def test_a_field_around_the_tensors_is_named(
    service: HttpService, fields: dict[str, Any], message: str
) -> None:
    response = ask(service, tensor(service), **fields)
    assert response.status_code == 422
    assert message in response.json()["error"]


def binary(service: HttpService, size: object, **fields: Any) -> dict[str, Any]:
    described = tensor(service, **fields)
    del described["data"]
    return {**described, "parameters": {"binary_data_size": size}}


GOOD = np.zeros((12, 3), "<f4").tobytes()


def test_bytes_behind_the_header_are_the_data(service: HttpService) -> None:
    header = {"inputs": [binary(service, len(GOOD))]}
    assert ask_binary(service, header, GOOD, None).status_code == 200


LIES: list[tuple[object, bytes, object, int, str]] = [
    (144, GOOD[:-1], None, 422, "143 bytes that are left"),
    (143, GOOD, None, 422, "144 bytes for 12x3 FP32"),
    (144, GOOD + b"x", None, 400, "add up to 144 bytes, but 145 follow"),
    (-1, GOOD, None, 422, "binary_data_size of input 'sensor_0'"),
    (2**63, GOOD, None, 422, "binary_data_size of input 'sensor_0'"),
    (1.5, GOOD, None, 422, "binary_data_size of input 'sensor_0'"),
    ("144", GOOD, None, 422, "binary_data_size of input 'sensor_0'"),
    (True, GOOD, None, 422, "binary_data_size of input 'sensor_0'"),
    (144, GOOD, 10_000, 400, "the body has only"),
    (144, GOOD, 10**15, 400, "must be a whole number of bytes"),
    (144, GOOD, "-1", 400, "must be a whole number of bytes"),
    (144, GOOD, "ten", 400, "must be a whole number of bytes"),
    (144, GOOD, "", 400, "must be a whole number of bytes"),
    (144, GOOD, 5, 400, "not JSON"),
    (144, GOOD, 0, 400, "only for a model with one input"),
    (144, b"\0\0\xc0\x7f" * 36, None, 422, "nan at [0, 0]"),
]


@pytest.mark.parametrize(("size", "tail", "length", "status", "message"), LIES)
def test_lengths_that_lie_are_refused(
    service: HttpService, size: object, tail: bytes, length: object, status: int, message: str
) -> None:
    response = ask_binary(service, {"inputs": [binary(service, size)]}, tail, length)
    assert response.status_code == status
    assert message in response.json()["error"]


def test_binary_data_without_the_header_asks_for_it(service: HttpService) -> None:
    response = ask(service, binary(service, 144))
    assert response.status_code == 422
    assert LENGTH in response.json()["error"]


def test_an_older_version_with_one_input_takes_bare_bytes(start_http: StartHttp) -> None:
    service = start_http(serve_versions=2)
    metadata = service.client.get("/v2/models/toy/versions/1").json()
    assert metadata["versions"] == ["2", "1"]
    assert [tensor["shape"] for tensor in metadata["inputs"]] == [[-1, 4, 1]]
    body = np.zeros((2, 4, 1), "<f4").tobytes()
    for content, status in ((body, 200), (body[:-1], 422), (b"", 422)):
        response = service.client.post(
            "/v2/models/toy/versions/1/infer", content=content, headers={LENGTH: "0"}
        )
        assert response.status_code == status
        if status == 200:
            assert response.json()["model_version"] == "1"
            assert response.json()["outputs"][2]["shape"] == [2]


def test_a_body_above_the_limit_is_refused(service: HttpService) -> None:
    response = service.client.post(INFER, content=b"x" * 200_001)
    assert response.status_code == 413
    assert "200000" in response.json()["error"]
