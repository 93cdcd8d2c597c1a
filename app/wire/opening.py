"""Puts the protocol together from settings and the app that is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Scope

from app.api.web import WebApp
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.wire.door import Door
from app.wire.limits import ConnectionLimits
from app.wire.protocol import bounded_protocol
from app.wire.watch import ConnectionWatch


def open_wire(web: WebApp) -> type[asyncio.Protocol]:
    """Return the class of connections to an app."""
    settings = web.parts.settings
    return bounded_protocol(_watch(settings, web.parts.service.metrics), _door(web))


def _watch(settings: Settings, metrics: Metrics) -> ConnectionWatch:
    limits = ConnectionLimits(
        most=settings.max_connections,
        # Behind a proxy all connections are the proxy's.
        most_of_client=0 if settings.trusted_proxies else settings.max_client_connections,
        head_s=settings.header_timeout_s,
        body_s=settings.body_timeout_s,
        head_bytes=settings.max_header_bytes + settings.max_url_bytes,
    )
    closed = metrics.connections_closed
    return ConnectionWatch(limits, on_close=lambda reason: closed.labels(reason).inc())


def _door(web: WebApp) -> Door:
    settings, service = web.parts.settings, web.parts.service
    metrics = service.metrics
    shed = metrics.shed.labels("busy")

    def count(scope: Scope) -> Callable[[], None]:
        model = scope.get("path_params", {}).get("model", web.parts.default_model)
        shown = model if model in service.models else ""
        took = metrics.request_seconds.labels(shown, scope["endpoint"].path, "429")

        def refused() -> None:
            shed.inc()
            took.observe(0.0)

        return refused

    return Door(
        service.crowd,
        on_refusal=service.scheduler.turned_away,
        find=web.shortcut.endpoint,
        count=count,
        late_s=settings.late_grace_s,
        patience_s=settings.max_wait_s,
        clock=service.clock,
    )
