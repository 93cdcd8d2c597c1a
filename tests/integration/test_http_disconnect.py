"""Clients that leave, over real HTTP; what they asked for stops costing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.held import Held


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    service = Held(tmp_path, monkeypatch)
    yield service
    service.stop()


def test_a_request_whose_client_leaves_while_it_waits_is_not_run(held: Held) -> None:
    host, port = held.address
    head = f"POST /v1/infer HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with ThreadPoolExecutor(max_workers=2) as threads:
        running = threads.submit(held.post)
        held.until(lambda: held.sizes == [1])
        staying = threads.submit(held.post)
        held.until(lambda: held.metric("sentryfuse_queue_depth") == 1)
        with socket.create_connection((host, port), timeout=20) as leaving:
            leaving.sendall(f"{head}Content-Length: {len(held.body)}\r\n\r\n".encode() + held.body)
            held.until(lambda: held.metric("sentryfuse_queue_depth") == 2)
        held.until(lambda: held.metric("sentryfuse_queue_depth") == 1)
        held.go.set()
        assert running.result().status_code == staying.result().status_code == 200
    assert held.sizes == [1, 1], "two inferences of one request each"
    gone = 'sentryfuse_request_duration_seconds_count{code="499",model="toy",route="/v1/infer"}'
    assert held.metric(gone) == 1
