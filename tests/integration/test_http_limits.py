"""Limits on connections, heads and rates, with sockets that misbehave."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for
from tests.integration.test_http_bad_input import JSON, refused

HEAD_S = 1.0
BODY_S = 1.5
POST = b"POST /v1/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The service with little patience."""
    running = start_service(
        tmp_path_factory.mktemp("strict"),
        header_timeout_s=HEAD_S,
        body_timeout_s=BODY_S,
        max_header_bytes=2048,
        max_headers=20,
        max_url_bytes=300,
    )
    wait_for(running, "/health/ready")
    yield running
    assert not [line for line in running.log_lines() if line["level"] == "error"]
    assert running.stop() == 0


def connect(service: HttpService) -> socket.socket:
    host, _, port = service.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Read until the other side closes: status, headers and problem."""
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status_line.split()[1]), headers, json.loads(body)


def closed_with(connection: socket.socket, status: int, slug: str) -> dict[str, Any]:
    """What a client is told whose connection is closed."""
    seen, headers, problem = answer(connection)
    assert seen == status
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == problem["request_id"]
    assert problem["type"] == f"urn:sentryfuse:problem:{slug}"
    return problem


def test_who_never_finishes_the_headers_is_told_and_closed(strict: HttpService) -> None:
    with connect(strict) as slow:
        began_s = time.monotonic()
        slow.sendall(POST)
        for _ in range(3):
            time.sleep(0.2)
            slow.sendall(b"X-A: b\r\n")  # one line now and then does not buy time
        assert closed_with(slow, 408, "too-slow")["limit_s"] == HEAD_S
    assert time.monotonic() - began_s < HEAD_S + 10


def test_who_never_finishes_the_body_is_told_and_closed(strict: HttpService) -> None:
    with connect(strict) as slow:
        slow.sendall(POST + b'X-Request-Id: the-slow-one\r\nContent-Length: 500\r\n\r\n{"inputs"')
        problem = closed_with(slow, 408, "too-slow")
    assert problem["request_id"] == "the-slow-one"
    assert strict.log_of("the-slow-one")[-1]["status"] == 499


def test_who_says_nothing_is_closed_without_a_word(strict: HttpService) -> None:
    with connect(strict) as silent:
        assert silent.recv(100) == b""


def test_time_between_requests_is_not_time_to_send_one(strict: HttpService) -> None:
    kept = HTTPConnection(strict.url.removeprefix("http://"), timeout=20)
    kept.connect()
    opened = kept.sock
    for _ in range(2):
        kept.request("GET", "/health/live")
        assert kept.getresponse().read() == b'{"status":"live"}'
        time.sleep(HEAD_S + 1.2)
    assert kept.sock is opened
    kept.close()


def test_headers_without_end_are_not_kept(strict: HttpService) -> None:
    with connect(strict) as endless:
        endless.sendall(b"GET /health/live HTTP/1.1\r\nX-Long: ")
        try:
            for _ in range(2_000):
                endless.sendall(b"a" * 1_000)
        except OSError:
            pass
        else:
            raise AssertionError("two megabytes of header were read")


@pytest.mark.parametrize("headers", [{"X-Long": "a" * 3_000}, {f"X-{i}": "a" for i in range(30)}])
def test_large_and_many_headers_are_refused(strict: HttpService, headers: dict[str, str]) -> None:
    response = strict.client.get("/v1/models", headers=headers)
    problem = refused(response, 431, "head-too-large")
    assert (problem["limit_headers"], problem["limit_bytes"]) == (20, 2048)


def test_a_long_url_is_refused(strict: HttpService) -> None:
    response = strict.client.get("/v1/models/toy/sample", params={"missing": "a" * 300})
    assert refused(response, 414, "url-too-long")["limit_bytes"] == 300


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS to a plain port
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_with_a_request_id(
    strict: HttpService, request_: bytes
) -> None:
    with connect(strict) as odd:
        odd.sendall(request_)
        closed_with(odd, 400, "malformed")


def test_an_upgrade_that_is_not_offered_is_answered_over_http(strict: HttpService) -> None:
    body = json.dumps(strict.window()).encode()
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AA"}
    response = strict.client.post("/v1/infer", content=body, headers={**JSON, **upgrade})
    assert response.status_code == 200


def test_closed_connections_are_counted_by_reason(strict: HttpService) -> None:
    with connect(strict) as odd:
        odd.sendall(b"nonsense\r\n\r\n")
        answer(odd)
    assert strict.metric("sentryfuse_connections_closed_total", reason="malformed")
    assert strict.infer().status_code == 200


def test_connections_are_bounded_and_room_is_made_again(start_http: StartHttp) -> None:
    service = start_http(max_connections=4)
    service.client.close()
    with ExitStack() as held:
        waiting = [held.enter_context(connect(service)) for _ in range(4)]
        with connect(service) as fifth:
            status, headers, problem = answer(fifth)
        assert (status, headers["retry-after"]) == (503, "1")
        assert problem["type"].endswith("too-many-connections")
        waiting[0].sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert waiting[0].recv(65_536).startswith(b"HTTP/1.1 200")
    assert _answers_again(service)


def test_one_address_can_not_take_every_connection(start_http: StartHttp) -> None:
    service = start_http(max_client_connections=2)
    service.client.close()
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(connect(service))
        with connect(service) as third:
            assert "this address" in answer(third)[2]["detail"]
    assert _answers_again(service)


def _answers_again(service: HttpService) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if httpx.get(service.url + "/health/live", trust_env=False).status_code == 200:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return False


def test_who_asks_too_often_is_told_when_to_come_back(start_http: StartHttp) -> None:
    service = start_http(rate_limit_hz=0.5, rate_burst=3)
    codes = [service.client.get("/v1/models").status_code for _ in range(3)]
    assert codes == [200, 200, 200]
    limited = service.client.get("/v1/models")
    problem = refused(limited, 429, "shed")
    assert problem["reason"] == "rate_limited"
    assert 0 < problem["retry_after_s"] <= 2
    time.sleep(int(limited.headers["retry-after"]))
    assert service.client.get("/v1/models").status_code == 200
    assert service.client.get("/health/ready").status_code == 200  # probes are never counted


def test_behind_a_proxy_each_client_has_its_own_rate(start_http: StartHttp) -> None:
    service = start_http(rate_limit_hz=0.01, rate_burst=1, trusted_proxies=1)

    def ask(address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return service.client.get("/v1/models", headers=headers).status_code

    assert [ask("1.1.1.1"), ask("1.1.1.1"), ask("9.9.9.9, 2.2.2.2"), ask("8.8.8.8, 2.2.2.2")] == [
        200,
        429,
        200,
        429,
    ]
