"""Running the app in this process: uvicorn, JSON logs, and a stop that loses no request."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from typing import Any, cast

import uvicorn

from app.main import create_app
from app.peers import Crew
from app.running.drain import DrainingServer
from app.running.lifecycle import Lifecycle
from app.scheduling.fair_slack import Policy
from app.settings import Settings
from app.telemetry.logs import configure_logging, log_what_escapes
from app.wire import make_room, open_wire

_KEEP_ALIVE_S = 75
_PING_S = 20.0
_SWITCH_S = 0.0001
# How long a thread that wants the interpreter waits until the one that has it must let go. By
# default it is 5 ms, which a thread with a batch to run, or with its answers, would wait for a busy
# event loop: longer than the inference takes.
_TASKS_S = 5  # for what goes on when its connection is over


def _stream_protocol(**how: Any) -> asyncio.Protocol:
    """Open a WebSocket; what that takes is imported when the first one is opened."""
    from app.wire.websocket import StreamProtocol

    return StreamProtocol(**how)


def serve_on(
    settings: Settings,
    *,
    policy: Policy | None = None,
    crew: Crew | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Serve in this process until SIGTERM or SIGINT.

    Args:
        settings: Of the service.
        policy: Schedules in the place of ours.
        crew: The other processes of the service; None if there are none.
        listener: Accepts connections for all of them; None opens one.

    Raises:
        ConfigError: A setting makes no sense.
        BundleError: A bundle is missing, damaged or foreign.
    """
    configure_logging(settings.log_level)
    log_what_escapes()
    make_room(settings.max_connections)
    sys.setswitchinterval(_SWITCH_S)
    server, lifecycle = build(settings, policy, crew)
    server.run(None if listener is None else [listener])
    if server.force_exit:
        lifecycle.abandon()
        logging.shutdown()
        os._exit(1)  # at once: threads that build or infer are not waited for


def build(
    settings: Settings, policy: Policy | None = None, crew: Crew | None = None
) -> tuple[DrainingServer, Lifecycle]:
    """Put the server together, with everything that it serves.

    Args:
        settings: Of the service.
        policy: Schedules in the place of ours.
        crew: The other processes of the service; None if there are none.

    Raises:
        ConfigError: A setting makes no sense.
        BundleError: A bundle is missing, damaged or foreign.
    """
    web = create_app(settings, policy, crew)
    parts = web.parts
    config = uvicorn.Config(
        cast(Any, web.asgi),
        host=settings.host,
        port=settings.port,
        http=open_wire(web),
        ws=cast(type[asyncio.Protocol], _stream_protocol),
        ws_max_size=settings.stream_message_bytes,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_TASKS_S,
    )
    server = DrainingServer(
        config,
        drain=parts.lifecycle.drain,
        drain_s=settings.drain_s,
        grace_s=settings.grace_s,
        stop_beside=parts.rpc.stop if parts.rpc is not None else None,
        shares_listener=crew is not None,
    )
    return server, parts.lifecycle
