"""The second port: a gRPC server on the service's own event loop."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import grpc
import grpc.aio

from app.rpc.call import Method
from app.rpc.door import Door

logger = logging.getLogger(__name__)

_LAST_ANSWERS_S = 1.0  # for those that are written, but not sent yet
_OPTIONS = (
    # A port that is taken is an error, not one to be shared with whoever has it.
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", -1),
    # Find out within a minute that a caller is gone for good.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Callers may ask as often, no more.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.max_connection_idle_ms", 600_000),
)


class RpcServer:
    """Listens from start to stop. Belongs to one event loop.

    Args:
        door: Lets calls in.
        methods: The calls that can be made.
        host: Address to listen on.
        port: To listen on; 0 takes a free one, which the log tells.
        max_message_bytes: Longest message that is read; also of what a compressed one unpacks to.
        max_calls: Most calls at once; more are refused with ``RESOURCE_EXHAUSTED``.
        grace_s: How long a call that is under way may take when the server stops.
    """

    def __init__(
        self,
        door: Door,
        methods: Iterable[Method],
        *,
        host: str,
        port: int,
        max_message_bytes: int,
        max_calls: int,
        grace_s: float,
    ) -> None:
        self._door = door
        self._methods = tuple(methods)
        self._host = f"[{host}]" if ":" in host else host
        self._port = port
        self._options = (*_OPTIONS, ("grpc.max_receive_message_length", max_message_bytes))
        self._max_calls = max_calls
        self._grace_s = grace_s
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address can't be had.
        """
        server = grpc.aio.server(options=self._options, maximum_concurrent_rpcs=self._max_calls)
        server.add_generic_rpc_handlers(self._door.handlers(self._methods))
        address = f"{self._host}:{self._port}"
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"SENTRYFUSE_GRPC_PORT: can't listen on {address}") from error
        await server.start()
        self._server = server
        logger.info("gRPC listens on %s:%d", self._host, port)

    async def stop(self) -> None:
        """Refuse new calls, finish those under way, then listen no more."""
        if self._server is not None:
            await self._door.close(self._grace_s)
            await self._server.stop(_LAST_ANSWERS_S)
