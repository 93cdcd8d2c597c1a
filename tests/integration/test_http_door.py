"""Requests turned away at the door, byte by byte: what is read, what is dropped, what is told."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import httpx
import pytest

from tests.integration.held import Held

STRICT = {
    "Content-Type": "application/json",
    "X-Latency-Budget-Ms": "2",
    "Prefer": "handling=strict",
}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A service whose only core is held, with enough requests inside to turn hurried ones away."""
    with pytest.MonkeyPatch.context() as monkeypatch, ThreadPoolExecutor(6) as threads:
        held = Held(tmp_path_factory.mktemp("door"), monkeypatch)
        waiting: list[Future[httpx.Response]] = [threads.submit(held.post) for _ in range(6)]
        held.until(lambda: held.metric("sentryfuse_queue_depth") == 5)
        yield held
        held.go.set()
        assert [each.result().status_code for each in waiting] == [200] * 6
        held.stop()


@pytest.fixture
def connection(crowded: Held) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(*crowded.address, timeout=10)) as opened:
        yield opened


def ask(
    connection: http.client.HTTPConnection, held: Held, path: str = "/v1/infer", **headers: str
) -> tuple[http.client.HTTPResponse, dict[str, object]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, held.body, STRICT | named)
    response = connection.getresponse()
    return response, json.loads(response.read())


def test_who_can_t_be_served_in_time_is_told_when_to_come_back(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    response, problem = ask(connection, crowded)
    assert response.status == 429
    assert problem["type"] == "urn:sentryfuse:problem:shed"
    assert problem["reason"] == "busy"
    assert int(response.headers["Retry-After"]) >= problem["retry_after_s"] > 0
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-Id"] == problem["request_id"]


def test_the_connection_goes_on_after_any_number_of_refusals(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    answers = [ask(connection, crowded) for _ in range(20)]
    assert {response.status for response, _ in answers} == {429}
    assert len({problem["request_id"] for _, problem in answers}) == 20
    connection.request("GET", "/health/live")
    assert connection.getresponse().status == 200


def test_refusals_are_counted_like_any_other(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    shed = 'sentryfuse_shed_total{reason="busy"}'
    took = 'sentryfuse_request_duration_seconds_count{code="429",model="toy",route="/v1/infer"}'
    before = crowded.metric(shed), crowded.metric(took)
    for _ in range(5):
        ask(connection, crowded)
    assert (crowded.metric(shed), crowded.metric(took)) == (before[0] + 5, before[1] + 5)


def test_a_request_id_of_the_clients_own_comes_back(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    for name in ("mine-1", "mine-2"):
        response, problem = ask(connection, crowded, X_Request_Id=name)
        assert response.status == 429
        assert response.headers["X-Request-Id"] == problem["request_id"] == name


def test_the_open_protocol_is_refused_in_its_own_form(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    for _ in range(2):
        response, problem = ask(connection, crowded, "/v2/models/toy/infer")
        assert response.status == 429
        assert "error" in problem


@pytest.mark.parametrize("pieces", [2, 7])
def test_a_body_that_comes_in_pieces_is_dropped_to_its_end(crowded: Held, pieces: int) -> None:
    lines = {**STRICT, "Host": "x", "Content-Length": str(len(crowded.body))}
    head = "POST /v1/infer HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    message = head.encode() + b"\r\n" + crowded.body
    cuts = [len(message) * i // pieces for i in range(pieces + 1)]
    with socket.create_connection(crowded.address, timeout=10) as raw:
        for _ in range(3):
            for begin, end in pairwise(cuts):
                raw.sendall(message[begin:end])
                crowded.get("/health/live")  # so that the pieces are read one by one
            assert raw.recv(65_536).startswith(b"HTTP/1.1 429 ")
        raw.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_without_waiting_for_answers_get_one_each(crowded: Held) -> None:
    lines = {**STRICT, "Host": "x", "Content-Length": str(len(crowded.body))}
    head = "POST /v1/infer HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    message = head.encode() + b"\r\n" + crowded.body
    with socket.create_connection(crowded.address, timeout=10) as raw:
        raw.sendall(message * 5 + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b"live" not in received:
            received += raw.recv(65_536)
    assert received.count(b"HTTP/1.1 429 ") == 5
    assert received.count(b"HTTP/1.1 200 ") == 1
    assert received.rindex(b"HTTP/1.1 429 ") < received.index(b"HTTP/1.1 200 ")


def test_a_client_that_wants_to_leave_is_let_go(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    for _ in range(3):
        response, _ = ask(connection, crowded, Connection="close")
        assert response.status == 429
        assert response.headers["Connection"] == "close"


def test_who_has_time_is_let_in_and_who_asks_wrongly_is_told(
    crowded: Held, connection: http.client.HTTPConnection
) -> None:
    wrong, problem = ask(connection, crowded, X_Latency_Budget_Ms="soon")
    assert wrong.status == 400
    assert problem["type"] == "urn:sentryfuse:problem:bad-header"
    for path in ("/metrics", "/v1/models", "/health/ready"):
        assert crowded.get(path).status_code == 200
