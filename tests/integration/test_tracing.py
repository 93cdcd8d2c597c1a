"""Traces of the real service, as a collector gets them over OTLP/HTTP."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for
from tests.integration.redis_server import free_port
from tests.integration.rpc_client import request_of, rpc_client

DEADLINE_S = 20.0
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"


class Collector(ThreadingHTTPServer):
    """Takes what exporters send, and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Span]:
        return [
            span
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, Any]:
        return values(self.requests[0].resource_spans[0].resource.attributes)

    def server_span(self, request_id: str) -> Span:
        """The span of one request, once it is here."""
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            for span in self.spans():
                if values(span.attributes).get("sentryfuse.request_id") == request_id:
                    return span
            time.sleep(0.02)
        raise AssertionError(f"no span of {request_id} among {len(self.spans())}")

    def children(self, parent: Span) -> list[Span]:
        return [span for span in self.spans() if span.parent_span_id == parent.span_id]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as plain data."""

    def plain(value: AnyValue) -> Any:
        kind = value.WhichOneof("value")
        if kind == "array_value":
            return [plain(item) for item in value.array_value.values]
        return getattr(value, kind)

    pairs: list[KeyValue] = list(attributes)
    return {pair.key: plain(pair.value) for pair in pairs}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        folder = tmp_path_factory.mktemp("traced")
        service = start_service(folder, otlp_endpoint=collector.url, grpc_port=free_port())
    wait_for(service, "/health/ready")
    yield service
    assert service.stop() == 0


def test_a_request_is_a_span_of_its_callers_trace(
    traced: HttpService, collector: Collector
) -> None:
    traced.infer(X_Request_Id="with-parent", traceparent=CALLER, X_Latency_Budget_Ms="5000")
    span = collector.server_span("with-parent")
    told = values(span.attributes)

    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, "b7ad6b7169203331")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.name == "POST /v1/infer"
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert told["http.request.method"] == "POST"
    assert told["http.route"] == told["url.path"] == "/v1/infer"
    assert told["http.response.status_code"] == 200
    assert told["sentryfuse.variant"] == "1f-000"
    assert told["sentryfuse.presence"] == [f"sensor_{i}" for i in range(5)]
    assert told["sentryfuse.budget.met"] is True
    assert told["sentryfuse.budget.kinds"] == ["latency"]
    assert told["sentryfuse.energy_joules"] > 0


def test_its_stages_are_spans_within_it_one_after_the_other(
    traced: HttpService, collector: Collector
) -> None:
    traced.infer(X_Request_Id="stages")
    span = collector.server_span("stages")
    children = sorted(collector.children(span), key=lambda child: child.start_time_unix_nano)
    names = [child.name for child in children]

    assert [names[0], names[-1]] == ["receive", "answer"]
    assert {"parse", "queue", "inference"} <= set(names)
    assert all(child.trace_id == span.trace_id for child in children)
    for before, after in itertools.pairwise(children):
        assert before.end_time_unix_nano <= after.start_time_unix_nano
    assert span.start_time_unix_nano <= children[0].start_time_unix_nano
    assert children[-1].end_time_unix_nano <= span.end_time_unix_nano


def test_without_a_caller_a_trace_is_made_and_told_in_answer_and_log(
    traced: HttpService, collector: Collector
) -> None:
    response = traced.infer(X_Request_Id="no-parent")
    span = collector.server_span("no-parent")
    told = response.headers["traceparent"]
    ids, _, flags = told.rpartition("-")

    assert span.parent_span_id == b""
    assert ids == f"00-{span.trace_id.hex()}-{span.span_id.hex()}"
    assert int(flags, 16) & 1  # sampled
    assert traced.log_of("no-parent")[-1]["traceparent"] == told


def test_a_caller_that_does_not_sample_is_followed(
    traced: HttpService, collector: Collector
) -> None:
    unsampled = f"{CALLER[:-2]}00"
    response = traced.infer(X_Request_Id="unsampled", traceparent=unsampled)
    assert response.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert response.headers["traceparent"].endswith("-00")

    traced.infer(X_Request_Id="after-it")
    collector.server_span("after-it")
    told = [values(span.attributes).get("sentryfuse.request_id") for span in collector.spans()]
    assert "unsampled" not in told


def test_a_refusal_is_a_span_without_stages_and_no_error_of_ours(
    traced: HttpService, collector: Collector
) -> None:
    traced.infer(X_Request_Id="refused", X_Latency_Budget_Ms="soon")
    span = collector.server_span("refused")
    assert values(span.attributes)["http.response.status_code"] == 400
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert collector.children(span) == []


def test_what_clients_type_does_not_become_the_name_of_a_span(
    traced: HttpService, collector: Collector
) -> None:
    traced.client.get("/v1/models/nothing-like-it", headers={"X-Request-Id": "typed"})
    assert collector.server_span("typed").name == "GET /v1/models/{model}"


def test_probes_and_scrapes_are_not_traced(traced: HttpService, collector: Collector) -> None:
    for path in ("/health/live", "/metrics"):
        assert "traceparent" not in traced.client.get(path).headers
    traced.infer(X_Request_Id="after-probes")
    collector.server_span("after-probes")
    paths = {values(span.attributes).get("url.path") for span in collector.spans()}
    assert paths.isdisjoint({"/health/live", "/health/ready", "/metrics"})


def test_the_service_says_who_it_is_and_what_its_environment_adds(
    traced: HttpService, collector: Collector
) -> None:
    traced.infer(X_Request_Id="who")
    collector.server_span("who")
    told = collector.resource()
    assert told["service.name"] == "sentryfuse"
    assert told["deployment.environment.name"] == "test"
    assert told["service.version"]


def test_a_call_over_grpc_is_traced_alike(traced: HttpService, collector: Collector) -> None:
    metadata = (("x-request-id", "over-grpc"), ("traceparent", CALLER))
    data = request_of(traced.bundle.spec).SerializeToString()
    with rpc_client(traced.grpc_address) as client:
        _, call = client.send("ModelInfer", data, metadata=metadata)
        sent = dict(call.trailing_metadata())
    span = collector.server_span("over-grpc")

    assert sent["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert span.name == "inference.GRPCInferenceService/ModelInfer"
    assert values(span.attributes)["rpc.grpc.status_code"] == 0
    assert "inference" in {child.name for child in collector.children(span)}


def test_what_was_not_sent_yet_is_sent_at_the_end(
    collector: Collector, start_http: StartHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    service = start_http(otlp_endpoint=collector.url)
    service.infer(X_Request_Id="last-words")
    assert service.stop() == 0
    assert collector.server_span("last-words")


def test_a_collector_that_is_not_there_costs_no_request_and_no_long_farewell(
    start_http: StartHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    service = start_http(otlp_endpoint=f"http://127.0.0.1:{free_port()}")
    assert [service.infer().status_code for _ in range(5)] == [200] * 5
    began_s = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began_s < 10


def test_without_a_collector_a_callers_trace_comes_back_as_it_was(service: HttpService) -> None:
    assert service.infer(traceparent=CALLER).headers["traceparent"] == CALLER
    assert "traceparent" not in service.infer().headers
    assert "traceparent" not in service.infer(traceparent="00-nonsense").headers
