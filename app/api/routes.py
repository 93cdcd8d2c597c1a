"""The web app around the service: its routes, its layers and its pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.api import errors, openapi
from app.api.assets import read_assets, send_asset
from app.api.context import RequestIdentity
from app.api.gate import Gate, HeadLimits
from app.api.health import HealthApi
from app.api.infer import Dialect, InferEndpoint
from app.api.live import LiveApi
from app.api.metrics import MetricsApi
from app.api.native import NativeApi
from app.api.native_infer import NativeDialect
from app.api.page import read_page
from app.api.power import PowerApi
from app.api.readers import WindowReaders
from app.api.shortcut import InferShortcut
from app.api.stream.endpoint import stream_routes
from app.api.v2.infer import OpenDialect
from app.api.v2.metadata import OpenMetadataApi
from app.api.v2.repository import RepositoryApi
from app.inference.control import ModelControl
from app.peers import Crew
from app.running.lifecycle import Lifecycle
from app.security import Admission, KeyFollower
from app.service import InferenceService
from app.settings import Settings
from app.telemetry.families import Families
from app.tracing import Tracer

_WEB = Path(__file__).parent.parent / "web"
_DESCRIPTION = (
    "Say which sensors are alive and what you can spend; get the most accurate answer that fits, "
    "with a receipt."
)


class Companion(Protocol):
    """A server on the same event loop."""

    async def start(self) -> None:
        """Listen."""
        ...

    async def stop(self) -> None:
        """Listen no more; return when what was accepted has been answered. May come twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the web app is built around."""

    settings: Settings
    service: InferenceService
    lifecycle: Lifecycle
    control: ModelControl
    admission: Admission
    keys: KeyFollower | None
    """Keeps its keys up to date; None where there are none."""
    default_model: str
    """Answers ``/v1/infer``."""
    tracer: Tracer | None = None
    """Told of each request, if somebody wants to know."""
    crew: Crew | None = None
    """The other processes of the service, if there are any."""
    rpc: Companion | None = None
    """Another port beside HTTP's, if there is one."""


def web_app(parts: Parts) -> FastAPI:
    """Build the web app."""
    service = parts.service

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
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

    app = FastAPI(
        title="SentryFuse",
        version=version("sentryfuse"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # Asking for OpenTelemetry at every request costs more than it is worth here.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.lifecycle = parts.lifecycle
    app.state.metrics = service.metrics
    app.state.rpc = parts.rpc
    app.state.service = service
    app.state.default_model = parts.default_model
    errors.install(app)
    endpoints = _infer_endpoints(parts)
    app.router.routes += [endpoint.route() for endpoint in endpoints]
    _add_routes(app, parts)
    app.router.routes += stream_routes(
        parts.service, parts.lifecycle, parts.settings, default_model=parts.default_model
    )
    _add_pages(app, parts)
    # Around the framework's own layers, not within: inference needs none of them.
    shortcut = InferShortcut(app.build_middleware_stack(), endpoints, owner=app)
    app.state.shortcut = shortcut
    app.middleware_stack = RequestIdentity(
        _gate(shortcut, parts),
        metrics=service.metrics,
        models=service.models,
        access_log=parts.settings.access_log,
        tracer=parts.tracer,
    )
    return app


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


def _add_routes(app: FastAPI, parts: Parts) -> None:
    service, settings = parts.service, parts.settings
    native = NativeApi(
        service,
        parts.control,
        default_model=parts.default_model,
        max_batch=settings.max_batch,
        max_body_bytes=settings.max_body_bytes,
    )
    power = PowerApi(service, max_body_bytes=settings.max_body_bytes)
    app.include_router(native.router())
    app.include_router(power.router())
    app.include_router(HealthApi(parts.lifecycle, service, app.version).router())
    repository = RepositoryApi(
        parts.control, parts.lifecycle, max_body_bytes=settings.max_body_bytes
    )
    app.include_router(repository.router())
    app.include_router(_live(parts, app.version).router())
    app.include_router(OpenMetadataApi(parts.lifecycle, service, app.version).router())


def _live(parts: Parts, version: str) -> LiveApi:
    crew, metrics = parts.crew, parts.service.metrics

    async def families() -> Families:
        return metrics.families() if crew is None else await crew.families()

    return LiveApi(
        parts.service,
        parts.lifecycle,
        families=families,
        version=version,
        processes=1 if crew is None else crew.place.slots,
    )


def _add_pages(app: FastAPI, parts: Parts) -> None:
    """Metrics, and the documentation of it all."""
    service = parts.service
    page, assets = read_page(_WEB / "docs.html"), read_assets(_WEB / "page")

    async def docs(request: object) -> Response:
        return Response(page.content, headers=page.headers, media_type="text/html")

    async def live_page(request: Request) -> Response:
        asset = assets.get(request.path_params.get("name", "index.html"))
        if asset is None:
            raise HTTPException(404)
        return send_asset(asset, request.headers)

    app.router.routes.append(MetricsApi(service.metrics, parts.crew).route())
    app.router.routes.append(Route("/docs", docs))
    app.router.routes.append(Route("/", live_page))
    app.router.routes.append(Route("/page/{name}", live_page))
    openapi.install(
        app,
        service.models,
        default_model=parts.default_model,
        idle_power_w=parts.settings.idle_power_w,
        max_batch=parts.settings.max_batch,
        guarded=parts.keys is not None,
    )
