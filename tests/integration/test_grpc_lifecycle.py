"""Calls that nobody waits for any more, and a service that stops."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests.integration.held import Held
from tests.integration.http_server import HttpService, StartHttp
from tests.integration.redis_server import free_port
from tests.integration.rpc_client import RpcClient, request_of, rpc_client

INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    service = Held(tmp_path, monkeypatch, grpc_port=free_port())
    yield service
    service.stop()


@pytest.fixture
def client(held: Held) -> Iterator[RpcClient]:
    with rpc_client(held.grpc_address) as connected:
        yield connected


def begin(client: RpcClient, held: Held, **how: object) -> grpc.Future:
    """Make a call without waiting for its answer."""
    data = request_of(held.bundle.spec).SerializeToString()
    return client.channel.unary_unary(INFER).future(data, **how)


def counted(held: Held, code: str) -> float:
    labels = f'{{code="{code}",model="toy",route="grpc:ModelInfer"}}'
    return held.metric(f"sentryfuse_request_duration_seconds_count{labels}")


@pytest.mark.parametrize("code", ["CANCELLED", "DEADLINE_EXCEEDED"])
def test_a_call_that_nobody_waits_for_is_not_run(held: Held, client: RpcClient, code: str) -> None:
    running = begin(client, held)
    held.until(lambda: held.sizes == [1])
    leaving = begin(client, held, timeout=1.0 if code == "DEADLINE_EXCEEDED" else 20)
    held.until(lambda: held.metric("sentryfuse_queue_depth") == 1)
    if code == "CANCELLED":
        leaving.cancel()
    else:
        assert leaving.exception(timeout=10).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    held.until(lambda: held.metric("sentryfuse_queue_depth") == 0)
    held.go.set()
    assert running.result(timeout=10)
    assert held.sizes == [1]
    assert counted(held, code) == 1


def test_a_call_under_way_is_answered_when_the_service_stops(held: Held, client: RpcClient) -> None:
    under_way = begin(client, held)
    held.until(lambda: held.sizes == [1])
    held.server.handle_exit(signal.SIGTERM, None)

    def refused() -> bool:
        with rpc_client(held.grpc_address) as late:
            error = begin(late, held, timeout=0.5).exception(timeout=10)
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return False  # it was let in
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "500"
            return True

    held.until(refused)
    assert not under_way.done()
    held.go.set()
    assert under_way.result(timeout=10)


def test_under_load_every_call_is_answered_or_refused_whole(start_http: StartHttp) -> None:
    service = start_http(grpc_port=free_port(), drain_s=0.3)
    with ThreadPoolExecutor(max_workers=6) as threads:
        callers = [threads.submit(call_until_refused, service) for _ in range(6)]
        time.sleep(0.7)
        service.process.send_signal(signal.SIGTERM)
        seen = sum((caller.result() for caller in callers), Counter())
    assert service.process.wait(timeout=20) == 0
    assert seen[grpc.StatusCode.OK] > 20
    assert set(seen) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}, seen
    assert not [line for line in service.log_lines() if line["level"] in ("error", "critical")]


def call_until_refused(service: HttpService) -> Counter[grpc.StatusCode]:
    seen: Counter[grpc.StatusCode] = Counter()
    request = request_of(service.bundle.spec)
    with rpc_client(service.grpc_address) as client:
        while not seen[grpc.StatusCode.UNAVAILABLE]:
            try:
                client.infer(request)
                seen[grpc.StatusCode.OK] += 1
            except grpc.RpcError as error:
                seen[error.code()] += 1
    return seen
