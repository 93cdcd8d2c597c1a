from __future__ import annotations

import asyncio
import errno
import socket
import time

import pytest

from app.rpc.door import Door
from app.rpc.server import RpcServer
from app.security import Admission, Guard
from app.telemetry.metrics import Metrics


def server_on(port: int) -> RpcServer:
    admission = Admission(
        Guard(None), None, on_shed=lambda: None, trusted_proxies=0, clock=time.perf_counter
    )
    door = Door(
        admission=admission,
        metrics=Metrics(),
        access_log=False,
        clock=time.perf_counter,
        tracer=None,
    )
    return RpcServer(
        door, [], host="127.0.0.1", port=port, max_message_bytes=1024, max_calls=1, grace_s=1.0
    )


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"SENTRYFUSE_GRPC_PORT: .* 127.0.0.1:{port}"):
            asyncio.run(server_on(port).start())


def test_a_server_may_be_stopped_twice_or_before_it_started() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def stop_often() -> int:
        server = server_on(port)
        await server.stop()
        await server.start()
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        await server.stop()
        await server.stop()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port))

    assert asyncio.run(stop_often()) == errno.ECONNREFUSED
