"""Clients that leave, over real HTTP; what they asked for stops costing."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sentryfuse.variants import VariantBuilder
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


def send_and_leave(held: Held, when: Callable[[], bool], body: bytes, *lines: str) -> None:
    """Send a whole request, and hang up when the time has come."""
    head = ["POST /v1/infer HTTP/1.1", "Host: x", "Content-Type: application/json", *lines]
    head.append(f"Content-Length: {len(body)}")
    with socket.create_connection(held.address, timeout=20) as leaving:
        leaving.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        held.until(when)


def gone(held: Held) -> float:
    return held.metric(
        'sentryfuse_request_duration_seconds_count{code="499",model="toy",route="/v1/infer"}'
    )


def test_nothing_is_built_for_a_client_that_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(tmp_path, monkeypatch, warm_missing=0)
    built: list[object] = []
    build = VariantBuilder.build
    monkeypatch.setattr(VariantBuilder, "build", lambda *args: built.append(args) or build(*args))
    busy, threads = threading.Event(), held.builders
    try:
        threads.submit(busy.wait, 20)
        window = json.loads(held.body)
        del window["inputs"]["sensor_0"]
        waiting = threads._work_queue.qsize
        send_and_leave(held, lambda: waiting() >= 1, json.dumps(window).encode())
        held.until(lambda: gone(held) == 1)
        busy.set()
        held.go.set()
        assert held.post().status_code == 200
        assert built == []
    finally:
        busy.set()
        held.stop()


def test_a_cascade_ends_with_the_step_during_which_its_client_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(tmp_path, monkeypatch, ratios=(0.0, 0.9))
    try:
        cascade = "SentryFuse-Cascade: 0.999"
        send_and_leave(held, lambda: held.sizes == [1], held.body, cascade)
        held.go.set()
        held.until(lambda: gone(held) == 1)
        assert held.sizes == [1], "the second step did not run"
    finally:
        held.stop()
