"""SIGTERM under load: whatever was let in is answered, and the process ends in time."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.held import Held
from tests.integration.http_server import HttpService, StartHttp, wait_for

HEADERS = {"Content-Type": "application/json"}


class Caller:
    """Sends one request after the other, each on a new connection or on one that is kept."""

    def __init__(self, service: HttpService, *, keep: bool, pause_s: float = 0.0) -> None:
        self.seen: Counter[str] = Counter()
        """Answers by status; ``lost`` once the whole request was sent and no whole answer came."""
        self._address = service.url.removeprefix("http://")
        self._body = json.dumps(service.window()).encode()
        self._keep = keep
        self._pause_s = pause_s

    def call_until_refused(self) -> None:
        """Go on until nobody listens any more."""
        connection = self._connected()
        while connection is not None:
            try:
                connection.request("POST", "/v1/infer", self._body, HEADERS)
                response = connection.getresponse()
                response.read()
                self.seen[str(response.status)] += 1
            except (OSError, http.client.HTTPException):
                self.seen["lost"] += 1
                connection.close()
            if not self._keep:
                connection.close()
            time.sleep(self._pause_s)
            if connection.sock is None:
                connection = self._connected()
        return

    def _connected(self) -> http.client.HTTPConnection | None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        try:
            connection.connect()
        except OSError:
            return None
        return connection


@pytest.mark.parametrize("drain_s", [0.0, 0.4])
def test_under_load_no_request_that_was_let_in_is_lost(
    start_http: StartHttp, drain_s: float
) -> None:
    service = start_http(drain_s=drain_s)
    callers = [Caller(service, keep=n % 2 == 0, pause_s=0.05 * (n % 3)) for n in range(9)]
    with ThreadPoolExecutor(max_workers=len(callers)) as threads:
        running = [threads.submit(caller.call_until_refused) for caller in callers]
        time.sleep(0.7)
        service.client.close()
        service.process.send_signal(signal.SIGTERM)
        signalled_s = time.monotonic()
        assert service.process.wait(timeout=20) == 0
        assert time.monotonic() - signalled_s < drain_s + 6
        for each in running:
            each.result()
    seen = sum((caller.seen for caller in callers), Counter())
    assert seen["200"] > 20
    assert set(seen) <= {"200", "429"}, seen


def test_while_draining_every_answer_asks_the_client_to_leave(start_http: StartHttp) -> None:
    service = start_http(drain_s=1.5)
    assert "connection" not in service.infer().headers
    service.process.send_signal(signal.SIGTERM)
    wait_for(service, "/health/ready", 503)
    for response in (service.infer(), service.client.get("/v1/models")):
        assert response.status_code == 200
        assert response.headers["connection"] == "close"


def test_a_client_that_never_finishes_its_request_delays_the_end_no_longer_than_allowed(
    start_http: StartHttp,
) -> None:
    service = start_http(grace_s=3.0)
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /v1/infer HTTP/1.1\r\nContent-Length: 100\r\n")
        service.process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        assert service.process.wait(timeout=20) == 0
        assert 1.0 < time.monotonic() - began_s < 3.5


def test_a_second_signal_ends_the_process_at_once(start_http: StartHttp) -> None:
    service = start_http(drain_s=15.0)
    service.process.send_signal(signal.SIGTERM)
    wait_for(service, "/health/ready", 503)
    service.process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    assert service.process.wait(timeout=10) == 1
    assert time.monotonic() - began_s < 5


def test_what_waits_in_the_queue_is_answered_after_the_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(tmp_path, monkeypatch)
    try:
        with ThreadPoolExecutor(max_workers=6) as threads:
            waiting = [threads.submit(held.post) for _ in range(6)]
            held.until(lambda: held.metric("sentryfuse_queue_depth") == 5)
            held.server.handle_exit(signal.SIGTERM, None)
            threading.Timer(0.3, held.go.set).start()
            responses = [each.result() for each in waiting]
        assert [r.status_code for r in responses] == [200] * 6
        assert {r.headers["connection"] for r in responses} == {"close"}
        held.thread.join(timeout=20)
        assert not held.thread.is_alive()
    finally:
        held.stop()
