"""Nothing that a client can send is a 500, and every refusal says what to change."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from typing import Any

import httpx
import pytest

from app.api import schemas
from tests.integration.http_server import HttpService

JSON = {"Content-Type": "application/json"}


def refused(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    schemas.ProblemDetails.model_validate(problem)
    assert problem["type"] == f"urn:sentryfuse:problem:{slug}"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def with_value(service: HttpService, value: object) -> str:
    content = service.window("sensor_0")
    content["inputs"]["sensor_0"][4][1] = value
    return json.dumps(content)


def wrong_inputs(service: HttpService) -> dict[str, str]:
    rows = service.window("sensor_0")["inputs"]["sensor_0"]

    def first(window: object) -> str:
        return json.dumps({"inputs": {"sensor_0": window}})

    return {
        "no modality": '{"inputs": {}}',
        "only null": '{"inputs": {"sensor_0": null}}',
        "no inputs": "{}",
        "no object": "[1, 2]",
        "unknown modality": json.dumps({"inputs": {"sensor_9": rows}}),
        "wrong length": first(rows[:-1]),
        "wrong channels": first([row[:-1] for row in rows]),
        "ragged": first([*rows[:-1], rows[-1][:-1]]),
        "string": with_value(service, "1.0"),
        "null inside": with_value(service, None),
        "boolean": with_value(service, True),
        "object": with_value(service, {}),
        "NaN": with_value(service, float("nan")),
        "infinity": with_value(service, float("inf")),
        "1e39": with_value(service, 1e39),
        "1e400": with_value(service, 5).replace(" 5,", " 1e400,"),
        "deeper": first([[rows]]),
        "deep": first(json.loads("[" * 20 + "1" + "]" * 20)),
        "batch of none": first([]),
        "batches differ": json.dumps(
            {
                "inputs": {
                    "sensor_0": [rows],
                    "sensor_1": service.window(batch=2)["inputs"]["sensor_1"],
                }
            }
        ),
        "too large a batch": json.dumps(service.window("sensor_0", batch=33)),
    }


NAMES_A_MODALITY = (
    *("unknown modality", "wrong length", "wrong channels", "ragged", "string", "null inside"),
    *("boolean", "object", "NaN", "infinity", "1e39", "1e400", "deeper", "deep"),
    *("batch of none", "batches differ", "too large a batch"),
)
NAMES_NONE = ("no modality", "only null", "no inputs", "no object")


def test_the_list_of_wrong_inputs_is_whole(service: HttpService) -> None:
    assert {*NAMES_A_MODALITY, *NAMES_NONE} == {*wrong_inputs(service)}


@pytest.mark.parametrize("name", NAMES_A_MODALITY)
def test_a_wrong_window_is_refused_by_name_with_what_was_expected(
    service: HttpService, name: str
) -> None:
    body = wrong_inputs(service)[name]
    problem = refused(
        service.client.post("/v1/infer", content=body, headers=JSON), 422, "wrong-input"
    )
    assert problem["modality"].startswith("sensor_")
    assert problem["modality"] in problem["detail"]
    assert problem["expected"]
    assert problem["received"]


@pytest.mark.parametrize("name", NAMES_NONE)
def test_a_request_without_windows_lists_the_modalities(service: HttpService, name: str) -> None:
    body = wrong_inputs(service)[name]
    problem = refused(
        service.client.post("/v1/infer", content=body, headers=JSON), 422, "wrong-input"
    )
    assert "sensor_0" in problem["expected"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe\x00", b"nonsense", b"[" * 100_000, b'{"inputs": {"sensor_0": [[1,]]}}'],
)
def test_what_is_not_json_is_malformed(service: HttpService, body: bytes) -> None:
    refused(service.client.post("/v1/infer", content=body, headers=JSON), 400, "malformed")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/infer"), ("POST", "/v1/models/toy/plan"), ("PUT", "/v1/power")],
)
@pytest.mark.parametrize("depth", [40, 900, 15_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_malformed_on_every_route(
    service: HttpService, method: str, path: str, depth: int, pair: tuple[str, str]
) -> None:
    nest = pair[0] * depth + "1" + pair[1] * depth
    for body in (nest, f'{{"inputs": {{"sensor_0": {nest}}}}}'):
        response = service.client.request(method, path, content=body, headers=JSON)
        refused(response, 400, "malformed" if depth > 1000 else "too-deep")


@pytest.mark.parametrize("depth", [40, 900, 15_000])
def test_deep_nesting_is_malformed_in_the_open_protocol(service: HttpService, depth: int) -> None:
    nest = "[" * depth + "1" + "]" * depth
    tensor = f'{{"name": "sensor_0", "datatype": "FP32", "shape": [1], "data": {nest}}}'
    for body in (nest, f'{{"inputs": [{tensor}]}}', f'{{"inputs": [], "parameters": {nest}}}'):
        response = service.client.post("/v2/models/toy/infer", content=body, headers=JSON)
        assert response.status_code == 400
        assert response.json()["error"]


def test_windows_that_overflow_the_model_have_no_answer(service: HttpService) -> None:
    content = service.window()
    content["inputs"] = {n: [[3.4e38] * len(r) for r in w] for n, w in content["inputs"].items()}
    problem = refused(service.infer(content), 422, "wrong-input")
    assert "not a finite number" in problem["detail"]


def test_a_method_that_is_not_offered_is_told_which_are(service: HttpService) -> None:
    for method in ("TRACE", "OPTIONS", "DELETE"):
        response = service.client.request(method, "/v1/power")
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_answered_like_a_plain_one(
    service: HttpService, encoding: str
) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    body = pack(json.dumps(service.window()).encode())
    headers = {**JSON, "Content-Encoding": encoding}
    packed = service.client.post("/v1/infer", content=body, headers=headers)
    plain = service.infer(service.window())
    assert packed.json()["predictions"] == plain.json()["predictions"]


def test_a_bomb_is_refused_at_the_limit(service: HttpService) -> None:
    bomb = gzip.compress(bytes(100 * 2**20), compresslevel=9)
    assert len(bomb) < 200_000
    headers = {**JSON, "Content-Encoding": "gzip"}
    response = service.client.post("/v1/infer", content=bomb, headers=headers)
    assert refused(response, 413, "too-large")["limit_bytes"] == 200_000


def test_what_is_not_compressed_as_it_says_is_malformed(service: HttpService) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    refused(service.client.post("/v1/infer", content=b"{}", headers=headers), 400, "malformed")


def test_another_encoding_is_refused_with_those_that_are_read(service: HttpService) -> None:
    headers = {**JSON, "Content-Encoding": "br"}
    response = service.client.post("/v1/infer", content=b"{}", headers=headers)
    assert refused(response, 415, "unsupported-media")["expected"] == "gzip or deflate"


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/octet-stream", "multipart/form-data"]
)
def test_another_content_type_is_not_read(service: HttpService, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem = refused(
        service.client.post("/v1/infer", content=b"{}", headers=headers), 415, "unsupported-media"
    )
    assert problem["expected"] == "application/json"


HEADERS = ("X-Latency-Budget-Ms", "X-Energy-Budget-mJ", "X-Power-Budget-W", "X-Accuracy-Floor")


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("value", ["abc", "0", "-1", "nan", "1e400"])
def test_a_bad_budget_is_refused_by_the_name_of_its_header(
    service: HttpService, header: str, value: str
) -> None:
    response = service.client.post("/v1/infer", json=service.window(), headers={header: value})
    problem = refused(response, 400, "bad-header")
    assert problem["header"] == header
    assert header in problem["detail"]
    assert problem["received"] == value


def test_a_budget_sent_twice_is_refused(service: HttpService) -> None:
    twice = [("X-Latency-Budget-Ms", "5"), ("X-Latency-Budget-Ms", "6")]
    response = service.client.post("/v1/infer", json=service.window(), headers=twice)
    assert refused(response, 400, "bad-header")["header"] == "X-Latency-Budget-Ms"


def test_a_hundred_megabytes_are_refused_before_they_are_sent(service: HttpService) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/infer HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {100 * 2**20}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = ""
        while "}" not in answer:
            answer += connection.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 413 ")
    assert '"limit_bytes":200000' in answer
    assert "connection: close" in answer.lower()


def test_a_client_that_sends_a_hundred_megabytes_all_the_same_sees_the_refusal(
    service: HttpService,
) -> None:
    response = service.client.post("/v1/infer", content=b" " * (100 * 2**20), headers=JSON)
    assert refused(response, 413, "too-large")["limit_bytes"] == 200_000


def test_a_stream_without_end_is_refused_at_the_limit(service: HttpService) -> None:
    chunks = (b" " * 10_000 for _ in range(2_000))
    response = service.client.post("/v1/infer", content=chunks, headers=JSON)
    assert refused(response, 413, "too-large")["limit_bytes"] == 200_000


def test_an_unknown_model_lists_those_there_are(service: HttpService) -> None:
    response = service.client.post("/v1/models/gait/infer", json=service.window())
    assert refused(response, 404, "unknown-model")["models"] == ["toy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/infer", 405, "method-not-allowed"),
        ("DELETE", "/v1/models", 405, "method-not-allowed"),
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/models/gait", 404, "unknown-model"),
        ("GET", "/v1/models/gait/variants", 404, "unknown-model"),
        ("GET", "/v1/models/toy/sample?label=flying", 422, "wrong-field"),
        ("GET", "/v1/models/toy/sample?seed=-1", 422, "wrong-field"),
        ("GET", "/v1/models/toy/sample?seed=x", 422, "wrong-field"),
        ("GET", "/v1/models/toy/sample?missing=nose", 422, "wrong-field"),
    ],
)
def test_every_other_wrong_turn_is_a_problem_too(
    service: HttpService, method: str, path: str, status: int, slug: str
) -> None:
    refused(service.client.request(method, path), status, slug)


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        ("plan", [], "body"),
        ("plan", {"present": "sensor_0"}, "present"),
        ("plan", {"present": []}, "present"),
        ("plan", {"present": ["nose"]}, "present"),
        ("plan", {"present": [1]}, "present"),
        ("plan", {"batch": 0}, "batch"),
        ("plan", {"batch": True}, "batch"),
        ("plan", {"batch": 10**30}, "batch"),
    ],
)
def test_a_bad_dry_run_names_the_field(
    service: HttpService, path: str, content: object, field: str
) -> None:
    response = service.client.post(f"/v1/models/toy/{path}", json=content)
    assert refused(response, 422, "wrong-field")["field"] == field


@pytest.mark.parametrize(
    "cap", [{}, {"cap_w": "5"}, {"cap_w": True}, {"cap_w": 0}, {"cap_w": -1}, {"cap_w": 2.9}, 5]
)
def test_a_bad_power_cap_is_refused_and_changes_nothing(service: HttpService, cap: object) -> None:
    refused(service.client.put("/v1/power", json=cap), 422, "wrong-field")
    assert service.client.get("/v1/power").json()["cap_w"] is None


def test_the_service_is_well_after_all_this(service: HttpService) -> None:
    assert service.infer().status_code == 200
    assert not [line for line in service.log_lines() if line["level"] == "error"]
