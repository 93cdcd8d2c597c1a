"""Clients that do not listen; the service runs in this process so that buffers can be small."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app.main import create_app
from app.settings import Settings
from app.wire.websocket import StreamProtocol
from sentryfuse.bundle import write_bundle
from tests.bundles import random_bundle, small_spec
from tests.integration.http_server import write_profile
from tests.integration.stream_client import StreamClient

SMALL = 8192


@pytest.fixture
def address(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """``host:port`` of a service that can't write much ahead of its client's reading.

    It pings every so many seconds as the test's parameter says, if there is one.
    """
    ping_s = getattr(request, "param", None)
    bundle = random_bundle(small_spec(((4, 1),)))
    digest = write_bundle(bundle, tmp_path / "models" / "toy" / "1")
    write_profile(bundle, digest, tmp_path / "profiles")
    settings = Settings(
        models=tmp_path / "models",
        profiles=tmp_path / "profiles",
        ratios=(0.9,),
        cores=1,
        stream_send_s=0.5,
        stream_speed=1e6,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        lifespan="on",
        http="httptools",
        ws=StreamProtocol,
        ws_per_message_deflate=False,
        ws_ping_interval=ping_s,
        ws_ping_timeout=ping_s,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    until(lambda: asked(host, "/health/ready").startswith("{"))
    yield host
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()


def asked(host: str, path: str) -> str:
    try:
        response = httpx.get(f"http://{host}{path}", trust_env=False)
    except httpx.TransportError:
        return ""
    return response.text if response.status_code == 200 else ""


def until(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_does_not_read_the_answers_is_closed_and_told_why(address: str) -> None:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    host, _, port = address.partition(":")
    raw.connect((host, int(port)))
    rows = np.zeros((10, 1), np.float32)
    with connect(
        f"ws://{address}/v1/stream?hop_s=0.04", sock=raw, max_queue=1, ping_interval=None
    ) as unread:
        client = StreamClient(unread)
        stop = threading.Event()

        def send() -> None:
            step = 0
            while not stop.is_set():
                try:
                    client.send_binary(step * 0.4, sensor_0=rows)
                except ConnectionClosed:
                    return
                step += 1
                time.sleep(0.002)

        sending = threading.Thread(target=send)
        sending.start()
        until(lambda: 'streams_ended_total{code="1008"}' in asked(address, "/metrics"))
        stop.set()
        answers = client.rest()
        sending.join(timeout=20)
        assert client.closed == (1008, "answers were not read for 0.5 s")
    windows = [a["window"] for a in answers if "predictions" in a]
    assert windows == sorted(windows)
    assert "sentryfuse_streams_open 0.0" in asked(address, "/metrics")


@pytest.mark.parametrize("address", [0.3], indirect=True)
def test_who_answers_no_ping_is_let_go_of_and_told_why(address: str) -> None:
    host, _, port = address.partition(":")
    head = (
        f"GET /v1/stream HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as mute:
        mute.sendall(head.encode())
        heard = b""
        while part := mute.recv(65_536):
            heard += part
    assert heard.startswith(b"HTTP/1.1 101 ")
    assert heard.endswith(b"\x88\x15" + (1008).to_bytes(2, "big") + b"no answer to a ping")
    until(lambda: "sentryfuse_streams_open 0.0" in asked(address, "/metrics"))
