"""A real WebSocket client of streams, for tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.http_server import HttpService

Rows = NDArray[np.float32]
_DEADLINE_S = 20.0


class StreamClient:
    """One open stream."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.opened: dict[str, Any] = self.next()["open"]

    def send(self, t: float | None = None, **samples: Rows) -> None:
        content: dict[str, Any] = {"samples": {n: r.tolist() for n, r in samples.items()}}
        self.socket.send(json.dumps(content if t is None else {**content, "t": t}))

    def send_binary(self, t: float | None = None, **samples: Rows) -> None:
        header = json.dumps({"samples": {n: r.shape for n, r in samples.items()}, "t": t}).encode()
        rows = [r.astype("<f4").tobytes() for r in samples.values()]
        self.socket.send(struct.pack("<I", len(header)) + header + b"".join(rows))

    def end(self) -> None:
        self.socket.send('{"end": true}')

    def next(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.socket.recv(timeout=_DEADLINE_S))
        return content

    def rest(self) -> list[dict[str, Any]]:
        """All that comes before the stream closes."""
        found = []
        try:
            while True:
                found.append(self.next())
        except ConnectionClosed:
            return found

    @property
    def closed(self) -> tuple[int, str]:
        """Code and reason that the server gave."""
        close = self.socket.protocol.close_rcvd
        assert close is not None
        return close.code, close.reason


@contextmanager
def stream(
    service: HttpService,
    path: str = "/v1/stream",
    headers: Mapping[str, str] | None = None,
    **terms: object,
) -> Iterator[StreamClient]:
    url = service.url.replace("http", "ws", 1) + path
    if terms:
        url += "?" + urlencode(terms)
    with connect(url, additional_headers=headers, proxy=None, compression=None) as socket:
        yield StreamClient(socket)


def recording(service: HttpService, seconds: float, seed: int = 0) -> dict[str, Rows]:
    """Samples of every sensor of the service's model, ``[time, channels]``."""
    rng = np.random.default_rng(seed)
    return {
        m.name: rng.normal(0.5, 2.0, (round(seconds * m.rate_hz), m.channels))
        .round(3)
        .astype(np.float32)
        for m in service.bundle.spec.modalities
    }
