"""The web app around the service: what is asked all day, and the framework for the rest.

Inference, streams, probes and metrics need nothing of FastAPI. It takes a third of a start and a
tenth of the memory, so that it is made when somebody first asks for a page, a description or
anything else (docs/decisions/0023).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import RequestIdentity
from app.api.deferred import Deferred
from app.api.gate import Gate, HeadLimits
from app.api.health import Answer, HealthApi
from app.api.infer import Dialect, InferEndpoint
from app.api.metrics import MetricsApi
from app.api.native_infer import NativeDialect
from app.api.parts import Parts
from app.api.readers import WindowReaders
from app.api.shortcut import InferShortcut
from app.api.stream.endpoint import stream_routes
from app.api.v2.health import OpenHealthApi
from app.api.v2.infer import OpenDialect

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class WebApp:
    """An ASGI app, and what its server has to know of it."""

    parts: Parts
    asgi: ASGIApp
    """The same as calling this, with one step less."""
    shortcut: InferShortcut
    """Knows where requests to infer lead."""
    lifespan: Lifespan
    """Around the time that requests may come in."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.asgi(scope, receive, send)


def web_app(parts: Parts) -> WebApp:
    """Build the web app."""
    endpoints = _infer_endpoints(parts)
    probes = (
        HealthApi(parts.lifecycle, parts.service, parts.version),
        OpenHealthApi(parts.lifecycle),
    )
    metrics = MetricsApi(parts.service.metrics, parts.crew)
    routes: list[BaseRoute] = [
        Only(path, _asked_nothing(answer)) for p in probes for path, answer in p.answers.items()
    ]
    routes.append(Only(metrics.path, metrics.scrape))
    routes += stream_routes(
        parts.service, parts.lifecycle, parts.settings, default_model=parts.default_model
    )

    def framework() -> ASGIApp:
        from app.api.framework import framework_app

        return framework_app(parts, endpoints, *probes, metrics)

    lifespan = _lifespan(parts)
    router = Router(routes, redirect_slashes=False, default=Deferred(framework), lifespan=lifespan)
    shortcut = InferShortcut(router, endpoints)
    asgi = RequestIdentity(
        _gate(shortcut, parts),
        metrics=parts.service.metrics,
        models=parts.service.models,
        access_log=parts.settings.access_log,
        tracer=parts.tracer,
    )
    return WebApp(parts, asgi, shortcut, lifespan)


class Only(Route):
    """A route of GET alone: what else there is of a resource, or is not, the framework knows."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a GET."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return Match.NONE, {}
        return super().matches(scope)


def _asked_nothing(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def respond(_: Request) -> Response:
        return await answer()

    return respond


def _lifespan(parts: Parts) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        if parts.rpc is not None:
            await parts.rpc.start()  # first: nothing has been started yet if it fails
        await parts.lifecycle.start()
        following = asyncio.create_task(parts.keys.follow()) if parts.keys is not None else None
        yield
        if following is not None:
            following.cancel()
        if parts.rpc is not None:
            await parts.rpc.stop()
        await parts.lifecycle.stop()
        if parts.tracer is not None:
            await asyncio.to_thread(parts.tracer.close)

    return lifespan


def _gate(app: ASGIApp, parts: Parts) -> Gate:
    settings = parts.settings
    limits = HeadLimits(
        max_url_bytes=settings.max_url_bytes,
        max_headers=settings.max_headers,
        max_header_bytes=settings.max_header_bytes,
    )
    return Gate(app, admission=parts.admission, limits=limits)


def _infer_endpoints(parts: Parts) -> tuple[InferEndpoint, ...]:
    """Endpoints of the default model and of any model by name, in either dialect."""
    max_batch = parts.settings.max_batch
    native = NativeDialect(WindowReaders(max_batch=max_batch))
    open_protocol = OpenDialect(max_batch=max_batch)
    paths: dict[str, Dialect] = {
        "/v1/infer": native,
        "/v1/models/{model}/infer": native,
        "/v1/models/{model}/versions/{version}/infer": native,
        "/v2/models/{model}/infer": open_protocol,
        "/v2/models/{model}/versions/{version}/infer": open_protocol,
    }
    return tuple(
        InferEndpoint(
            path,
            parts.service,
            dialect,
            default_model=parts.default_model,
            max_body_bytes=parts.settings.max_body_bytes,
        )
        for path, dialect in paths.items()
    )
