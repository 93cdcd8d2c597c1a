"""Puts the protocol together from settings and the app that is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import State
from starlette.types import Scope

from app.settings import Settings
from app.wire.door import Door
from app.wire.limits import ConnectionLimits
from app.wire.protocol import bounded_protocol
from app.wire.watch import ConnectionWatch


def open_wire(settings: Settings, state: State) -> type[asyncio.Protocol]:
    """Return the class of connections to an app.

    Args:
        settings: Limits of connections, and how long requests may wait.
        state: Of the app: its service, its metrics, where requests lead.
    """
    return bounded_protocol(_watch(settings, state), _door(settings, state))


def _watch(settings: Settings, state: State) -> ConnectionWatch:
    limits = ConnectionLimits(
        most=settings.max_connections,
        # Behind a proxy all connections are the proxy's.
        most_of_client=0 if settings.trusted_proxies else settings.max_client_connections,
        head_s=settings.header_timeout_s,
        body_s=settings.body_timeout_s,
        head_bytes=settings.max_header_bytes + settings.max_url_bytes,
    )
    closed = state.metrics.connections_closed
    return ConnectionWatch(limits, on_close=lambda reason: closed.labels(reason).inc())


def _door(settings: Settings, state: State) -> Door:
    service, metrics = state.service, state.metrics
    shed = metrics.shed.labels("busy")

    def count(scope: Scope) -> Callable[[], None]:
        model = scope.get("path_params", {}).get("model", state.default_model)
        shown = model if model in service.models else ""
        took = metrics.request_seconds.labels(shown, scope["endpoint"].path, "429")

        def refused() -> None:
            shed.inc()
            took.observe(0.0)

        return refused

    return Door(
        service.crowd,
        on_refusal=service.scheduler.turned_away,
        find=state.shortcut.endpoint,
        count=count,
        late_s=settings.late_grace_s,
        patience_s=settings.max_wait_s,
        clock=service.clock,
    )
