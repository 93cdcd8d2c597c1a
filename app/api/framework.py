"""What FastAPI serves: descriptions, pages, and whatever else is asked for now and then.

It knows all routes, for the documentation and for what it says of methods that a resource has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api import handlers, openapi
from app.api.assets import read_assets, send_asset
from app.api.health import HealthApi
from app.api.infer import InferEndpoint
from app.api.live import LiveApi
from app.api.metrics import MetricsApi
from app.api.native import NativeApi
from app.api.page import read_page
from app.api.parts import Parts
from app.api.power import PowerApi
from app.api.v2.health import OpenHealthApi
from app.api.v2.metadata import OpenMetadataApi
from app.api.v2.repository import RepositoryApi
from app.telemetry.families import Families

_WEB = Path(__file__).parent.parent / "web"
_DESCRIPTION = (
    "Say which sensors are alive and what you can spend; get the most accurate answer that fits, "
    "with a receipt."
)


def framework_app(
    parts: Parts,
    endpoints: Sequence[InferEndpoint],
    health: HealthApi,
    open_health: OpenHealthApi,
    metrics: MetricsApi,
) -> FastAPI:
    """Build FastAPI's app.

    Args:
        parts: The service.
        endpoints: What infers.
        health: The probes of the native API.
        open_health: Those of the Open Inference Protocol.
        metrics: What writes the metrics.
    """
    app = FastAPI(
        title="SentryFuse",
        version=parts.version,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        # Asking for OpenTelemetry at every request costs more than it is worth here.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    handlers.install(app)
    app.router.routes += [endpoint.route() for endpoint in endpoints]
    for router in _routers(parts, health, open_health):
        app.include_router(router)
    app.router.routes.append(metrics.route())
    _add_pages(app, parts)
    return app


def _routers(parts: Parts, health: HealthApi, open_health: OpenHealthApi) -> tuple[APIRouter, ...]:
    service, settings, control = parts.service, parts.settings, parts.control
    body = {"max_body_bytes": settings.max_body_bytes}
    native = NativeApi(
        service,
        control,
        default_model=parts.default_model,
        max_batch=settings.max_batch,
        **body,
    )
    return (
        native.router(),
        PowerApi(service, **body).router(),
        _health_router(health),
        RepositoryApi(control, parts.lifecycle, **body).router(),
        _live(parts).router(),
        OpenMetadataApi(parts.lifecycle, service, parts.version, open_health).router(),
    )


def _health_router(health: HealthApi) -> APIRouter:
    router = APIRouter(tags=["health"])
    add = router.add_api_route
    stuck: dict[int | str, dict[str, Any]] = {503: {"description": "Only a restart helps"}}
    not_ready: dict[int | str, dict[str, Any]] = {
        503: {"description": "Not ready: starting, draining or failed"}
    }
    add("/health/live", health.live, summary="Is the process alive?", responses=stuck)
    add("/healthz", health.live, summary="Is the process alive? (alias)", responses=stuck)
    add("/health/ready", health.ready, summary="Send requests here?", responses=not_ready)
    add("/health", health.health, summary="Everything at a glance", responses=not_ready)
    return router


def _live(parts: Parts) -> LiveApi:
    crew, metrics = parts.crew, parts.service.metrics

    async def families() -> Families:
        return metrics.families() if crew is None else await crew.families()

    return LiveApi(
        parts.service,
        parts.lifecycle,
        families=families,
        version=parts.version,
        processes=1 if crew is None else crew.place.slots,
    )


def _add_pages(app: FastAPI, parts: Parts) -> None:
    """The live page, and the documentation of it all."""
    page, assets = read_page(_WEB / "docs.html"), read_assets(_WEB / "page")

    async def docs(request: object) -> Response:
        return Response(page.content, headers=page.headers, media_type="text/html")

    async def live_page(request: Request) -> Response:
        asset = assets.get(request.path_params.get("name", "index.html"))
        if asset is None:
            raise HTTPException(404)
        return send_asset(asset, request.headers)

    app.router.routes.append(Route("/docs", docs))
    app.router.routes.append(Route("/", live_page))
    app.router.routes.append(Route("/page/{name}", live_page))
    openapi.install(
        app,
        parts.service.models,
        default_model=parts.default_model,
        idle_power_w=parts.settings.idle_power_w,
        max_batch=parts.settings.max_batch,
        guarded=parts.keys is not None,
    )
