"""What operators rely on: probes, metrics, logs, start and stop."""

from __future__ import annotations

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.http_server import HttpService, StartHttp, wait_for
from tests.integration.redis_server import StartRedis, free_port


def listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/healthz"])
def test_a_ready_service_says_so(service: HttpService, path: str) -> None:
    assert service.client.get(path).status_code == 200


def test_liveness_answers_while_the_service_gets_ready(start_http: StartHttp) -> None:
    starting = start_http(ready=False, warm_missing=2)
    wait_for(starting, "/health/live")
    ready = starting.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "starting",
        "because": ["model toy version 2 is getting ready"],
    }
    assert ready.headers["retry-after"] == "1"
    refused = starting.infer()
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:sentryfuse:problem:not-ready"
    wait_for(starting, "/health/ready")
    assert starting.infer().status_code == 200


def test_warm_variants_are_in_memory_before_the_service_is_ready(start_http: StartHttp) -> None:
    ready = start_http(warm_missing=1)
    variants = ready.client.get("/v1/models/toy/variants").json()["variants"]
    assert [v["ratio"] for v in variants if v["presence_hex"] == "1f"] == [0, 0.5, 0.9]
    assert [v["ratio"] for v in variants if v["presence_hex"] != "1f"] == [0.9] * 5


def test_metrics_describe_variants_requests_node_and_cache(start_http: StartHttp) -> None:
    service = start_http()
    answer = service.infer(service.window(batch=3)).json()
    of_variant = {"model": "toy", "version": "2", "presence": "1f", "ratio": "0"}
    route = {"model": "toy", "route": "/v1/infer", "code": "200"}
    energy_j = answer["receipt"]["energy_mj"] / 1e3
    flops = service.metric("sentryfuse_variant_flops", **of_variant)
    assert service.metric("sentryfuse_variant_inferences_total", **of_variant) == 3
    assert service.metric("sentryfuse_variant_inference_seconds_count", **of_variant) == 1
    assert service.metric("sentryfuse_variant_energy_joules_total", **of_variant) == pytest.approx(
        energy_j, abs=1e-6
    )
    assert flops is not None
    assert service.metric("sentryfuse_flops_total", **of_variant) == 3 * flops
    assert service.metric("sentryfuse_variant_parameters", **of_variant)
    assert service.metric("sentryfuse_variant_memory_bytes", **of_variant)
    assert service.metric("sentryfuse_variant_expected_accuracy_ratio", **of_variant) == 0.9
    assert service.metric("sentryfuse_request_duration_seconds_count", **route) == 1
    for stage in ("parse", "queue", "inference", "overhead"):
        assert service.metric("sentryfuse_stage_duration_seconds_count", stage=stage) == 1
    assert service.metric("sentryfuse_batch_size_sum") == 3
    assert service.metric("sentryfuse_queue_depth") == 0
    assert service.metric("sentryfuse_node_power_watts", source="cpu-time")
    assert service.metric("sentryfuse_node_energy_joules_total", source="cpu-time")
    assert service.metric("sentryfuse_slowdown_ratio")
    assert service.metric("sentryfuse_mask_cache_total", tier="gate", outcome="hit") == 3
    names = ",".join(service.bundle.spec.modality_names)
    assert service.metric("sentryfuse_presence_info", presence="1f", modalities=names) == 1
    assert service.metric("sentryfuse_power_cap_watts") is None
    assert service.metric("sentryfuse_redis_breaker_open") is None


def test_routes_in_metrics_are_templates_not_what_clients_typed(service: HttpService) -> None:
    for path in ("/v1/models/toy", "/v1/models/nothing-like-it", "/secret/path"):
        service.client.get(path)
    text = service.client.get("/metrics").text
    assert 'route="/v1/models/{model}"' in text
    assert 'route="unmatched"' in text
    assert "nothing-like-it" not in text
    assert "secret" not in text


def test_who_reads_openmetrics_is_shown_traces(service: HttpService) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    service.infer(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    rich, plain = (service.client.get("/metrics", headers=h) for h in (accept, {}))
    assert rich.headers["content-type"].startswith("application/openmetrics-text")
    assert f'# {{trace_id="{trace_id}"}}' in rich.text
    assert rich.text.endswith("# EOF\n")
    assert plain.headers["content-type"].startswith("text/plain")
    assert trace_id not in plain.text


def test_every_request_is_logged_as_json_with_its_id_and_trace(service: HttpService) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    service.infer(X_Request_Id="logged-1", traceparent=trace)
    (line,) = service.log_of("logged-1")
    assert line["traceparent"] == trace
    assert line["status"] == 200
    assert line["path"] == "/v1/infer"
    assert line["duration_ms"] > 0


def test_a_refusal_is_logged_with_its_reason(service: HttpService) -> None:
    service.infer(X_Request_Id="logged-2", X_Latency_Budget_Ms="abc")
    assert [line.get("problem") for line in service.log_of("logged-2")] == ["bad-header", None]


def test_a_request_under_way_is_answered_after_sigterm(start_http: StartHttp) -> None:
    service = start_http()
    body = json.dumps(service.window()).encode()
    host, port = service.url.removeprefix("http://").split(":")
    head = f"POST /v1/infer HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:100])
        wait_for(service, "/health/live")  # the request has surely been read by now
        service.client.close()
        service.process.send_signal(signal.SIGTERM)
        while listens(host, int(port)):
            time.sleep(0.01)
        connection.sendall(body[100:])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert service.process.wait(timeout=20) == 0


def test_while_draining_readiness_says_no_and_requests_are_served(start_http: StartHttp) -> None:
    service = start_http(drain_s=1.5)
    service.process.send_signal(signal.SIGTERM)
    assert wait_for(service, "/health/ready", 503).json() == {
        "status": "draining",
        "because": ["the service was told to end"],
    }
    assert service.client.get("/health/live").status_code == 200
    assert service.infer().status_code == 200
    assert service.process.wait(timeout=20) == 0


def test_a_stop_while_getting_ready_is_clean(start_http: StartHttp) -> None:
    service = start_http(ready=False, warm_missing=4, ratios="0,0.2,0.4,0.6,0.8")
    wait_for(service, "/health/live")
    assert service.stop() == 0
    assert not [line for line in service.log_lines() if line["level"] == "error"]


def test_a_flood_is_shed_and_what_is_admitted_is_answered(start_http: StartHttp) -> None:
    service = start_http(max_queue=0)
    content = json.dumps(service.window(batch=32)).encode()
    headers = {"Content-Type": "application/json"}

    def flood(_: int) -> list[httpx.Response]:
        with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
            return [client.post("/v1/infer", content=content, headers=headers) for _ in range(40)]

    with ThreadPoolExecutor(max_workers=6) as threads:
        responses = [r for each in threads.map(flood, range(6)) for r in each]
    assert {r.status_code for r in responses} == {200, 429}
    shed = [r for r in responses if r.status_code == 429]
    assert all(r.json()["reason"] == "queue_full" for r in shed)
    assert all(int(r.headers["retry-after"]) >= 1 for r in shed)
    assert service.metric("sentryfuse_shed_total", reason="queue_full") == len(shed)
    assert service.client.get("/health/ready").status_code == 200


def test_redis_down_at_start_is_harmless(start_http: StartHttp) -> None:
    service = start_http(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert service.infer().status_code == 200
    assert service.metric("sentryfuse_redis_breaker_open") == 1
    assert service.metric("sentryfuse_redis_failures_total", reason="unreachable")
    assert service.metric("sentryfuse_mask_cache_total", tier="redis", outcome="open")


def test_replicas_find_in_redis_the_masks_of_the_first(
    start_http: StartHttp, start_redis: StartRedis
) -> None:
    url = start_redis().url
    start_http(redis_url=url)
    hit = {"tier": "redis", "outcome": "hit"}
    # A busy machine may not answer within the 20 ms that a start will wait for Redis.
    found = (
        start_http(redis_url=url).metric("sentryfuse_mask_cache_total", **hit) for _ in range(4)
    )
    assert any(count == 3 for count in found)


def test_a_service_without_models_ends_with_the_reason(start_http: StartHttp) -> None:
    service = start_http(ready=False, models="/nowhere/at/all")
    assert service.process.wait(timeout=30) != 0
    assert "/nowhere/at/all is not a directory" in service.log.read_text()
