"""What only gRPC has: statuses, metadata, messages of any bytes; the protocol itself is tested
over both transports together."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from app.main import create_app
from app.rpc import open_inference_pb2 as pb
from app.settings import Settings
from sentryfuse.bundle import write_bundle
from sentryfuse.errors import ConfigError
from tests.integration.http_server import HttpService, StartHttp, simulated_bundle, wait_for
from tests.integration.redis_server import free_port
from tests.integration.rpc_client import RpcClient, request_of, rpc_client

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def client(service: HttpService):
    with rpc_client(service.grpc_address) as connected:
        yield connected


def refusal(client: RpcClient, request: pb.ModelInferRequest, **how) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        client.infer(request, **how)
    return raised.value


def trailers(call: grpc.Call) -> dict:
    return dict(call.trailing_metadata())


def test_elements_and_bytes_get_the_same_answer(service: HttpService, client: RpcClient) -> None:
    raw = client.infer(request_of(service.bundle.spec, raw=True))
    typed = client.infer(request_of(service.bundle.spec, raw=False))
    np.testing.assert_array_equal(
        np.frombuffer(raw.raw_output_contents[0], "<f4"),
        np.array(typed.outputs[0].contents.fp32_contents, np.float32),
    )


def test_the_standard_health_check_says_serving(client: RpcClient) -> None:
    assert client.health() == HealthCheckResponse.SERVING
    assert client.health("inference.GRPCInferenceService") == HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        client.health("something.Else")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_service_that_gets_ready_says_so_and_when_to_come_back(start_http: StartHttp) -> None:
    ratios = "0,0.2,0.4,0.6,0.8"
    starting = start_http(ready=False, warm_missing=4, ratios=ratios, grpc_port=free_port())
    wait_for(starting, "/health/live")
    with rpc_client(starting.grpc_address) as client:
        assert client.ask(pb.ServerLiveRequest()).live
        assert not client.ask(pb.ServerReadyRequest()).ready
        assert not client.ask(pb.ModelReadyRequest(name="toy")).ready
        assert client.health() == HealthCheckResponse.NOT_SERVING
        error = refusal(client, request_of(starting.bundle.spec))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert trailers(error)["grpc-retry-pushback-ms"] == "1000"


def test_answers_carry_variant_receipt_and_request_id(
    service: HttpService, client: RpcClient
) -> None:
    data = request_of(service.bundle.spec).SerializeToString()
    _, call = client.send("ModelInfer", data, metadata=(("x-request-id", "rpc-1"),))
    sent = trailers(call)
    assert sent["x-request-id"] == "rpc-1"
    assert sent["sentryfuse-variant"] == "1f-000"
    assert sent["sentryfuse-budget-met"] == "true"
    assert sent["server-timing"].startswith("parse;dur=")


def test_preferences_in_metadata_are_heard(service: HttpService, client: RpcClient) -> None:
    data = request_of(service.bundle.spec).SerializeToString()
    _, call = client.send("ModelInfer", data, metadata=(("prefer", "energy=least"),))
    assert trailers(call)["preference-applied"] == "energy=least"
    assert trailers(call)["sentryfuse-variant"] == "1f-900"


def test_every_call_is_logged_and_counted(service: HttpService, client: RpcClient) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    counted = {"model": "toy", "route": "grpc:ModelInfer", "code": "OK"}
    before = service.metric("sentryfuse_request_duration_seconds_count", **counted) or 0
    client.infer(
        request_of(service.bundle.spec),
        metadata=(("x-request-id", "rpc-2"), ("traceparent", trace)),
    )
    (line,) = service.log_of("rpc-2")
    assert line["traceparent"] == trace
    assert line["path"] == "/inference.GRPCInferenceService/ModelInfer"
    assert line["status"] == "OK"
    assert service.metric("sentryfuse_request_duration_seconds_count", **counted) == before + 1


def test_a_model_that_is_not_there_is_not_found_and_not_a_label(
    service: HttpService, client: RpcClient
) -> None:
    error = refusal(client, pb.ModelInferRequest(model_name="nothing-like-it"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "there is toy" in error.details()
    assert "nothing-like-it" not in service.client.get("/metrics").text


def test_a_refusal_has_the_facts_that_http_would_give(
    service: HttpService, client: RpcClient
) -> None:
    error = refusal(
        client, request_of(service.bundle.spec), metadata=(("x-latency-budget-ms", "x"),)
    )
    assert error.code() is INVALID
    problem = json.loads(trailers(error)["sentryfuse-problem-bin"])
    assert problem["type"] == "urn:sentryfuse:problem:bad-header"
    assert problem["header"] == "X-Latency-Budget-Ms"
    assert problem["request_id"] == trailers(error)["x-request-id"]


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe", bytes(1000)]
)
def test_bytes_that_are_no_message_are_malformed(client: RpcClient, data: bytes) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.send("ModelInfer", data)
    assert raised.value.code() is INVALID
    assert "no ModelInferRequest" in raised.value.details()


def test_fields_of_a_later_protocol_are_passed_over(
    service: HttpService, client: RpcClient
) -> None:
    later = b"\xfa\x07\x03new"  # field 127
    data = request_of(service.bundle.spec).SerializeToString()
    answer, _ = client.send("ModelInfer", data + later)
    assert len(pb.ModelInferResponse.FromString(answer).outputs) == 3


def test_a_message_over_the_limit_is_refused(client: RpcClient) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.send("ModelInfer", bytes(200_001))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_that_unpacks_to_more_than_the_limit_costs_no_memory(
    service: HttpService, client: RpcClient
) -> None:
    before = resident_bytes(service.process.pid)
    with pytest.raises(grpc.RpcError) as raised:
        client.send("ModelInfer", bytes(2**26), compression=grpc.Compression.Gzip)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert peak_bytes(service.process.pid) - before < 2**25


def test_compressed_messages_are_read(service: HttpService, client: RpcClient) -> None:
    answer = client.infer(request_of(service.bundle.spec), compression=grpc.Compression.Gzip)
    assert answer.model_name == "toy"


@pytest.mark.parametrize(
    ("deadline_s", "header", "parameter", "most"),
    [
        (5, None, None, 5000),
        (3, "9000", 8000, 3000),
        (9, "4000", 8000, 4000),
        (9, "8000", 2000, 2000),
    ],
)
def test_a_deadline_is_a_latency_budget_and_the_smallest_counts(
    service: HttpService,
    client: RpcClient,
    deadline_s: float,
    header: str | None,
    parameter: float | None,
    most: float,
) -> None:
    request = request_of(service.bundle.spec)
    if parameter is not None:
        request.parameters["latency_budget_ms"].double_param = parameter
    metadata = (("x-latency-budget-ms", header),) if header else ()
    answer = client.infer(request, timeout=deadline_s, metadata=metadata)
    receipt = json.loads(answer.parameters["receipt"].string_param)
    asked_ms = receipt["budget"]["latency"]["asked_ms"]
    assert most - 1000 < asked_ms <= 1.01 * most  # a deadline travels with two or three digits


def test_calls_that_there_are_not_are_unimplemented(client: RpcClient) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.send("ModelStreamInfer", b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_without_its_extra_a_port_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(simulated_bundle(), tmp_path / "models" / "toy" / "1")
    for name in [name for name in sys.modules if name.startswith(("app.rpc", "grpc"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ConfigError, match=r"SENTRYFUSE_GRPC_PORT needs grpc: .*sentryfuse\[grpc\]"):
        create_app(Settings(models=tmp_path / "models", profiles=tmp_path, grpc_port=0))


def resident_bytes(pid: int) -> int:
    return _status_bytes(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    return _status_bytes(pid, "VmHWM")


def _status_bytes(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def test_damaged_messages_are_never_the_services_fault(
    service: HttpService, client: RpcClient
) -> None:
    rng = np.random.default_rng(0)
    good = {raw: request_of(service.bundle.spec, raw=raw).SerializeToString() for raw in (1, 0)}
    codes = set()
    for number in range(300):
        data = bytearray(good[number % 2])
        for place in rng.integers(len(data), size=1 + number % 5):
            data[place] = rng.integers(256)
        try:
            client.send(
                "ModelInfer", bytes(data[: rng.integers(len(data)) if number % 3 else None])
            )
        except grpc.RpcError as error:
            codes.add(error.code())
    assert INVALID in codes
    assert codes <= {INVALID, grpc.StatusCode.NOT_FOUND}
    assert not [line for line in service.log_lines() if "traceback" in line]
