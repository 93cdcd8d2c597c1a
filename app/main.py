"""The only wiring: from settings to an app."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from app.api import errors, openapi
from app.api.context import RequestIdentity
from app.api.health import HealthApi
from app.api.infer import InferEndpoint
from app.api.native import NativeApi
from app.api.power import PowerApi
from app.api.shortcut import InferShortcut
from app.battery import charge_ratio
from app.inference.lineup import menu_of
from app.inference.model import ServedModel
from app.inference.profiles import HostProfiles
from app.inference.pump import Pump
from app.inference.registry import VariantRegistry
from app.inference.repository import find_models
from app.inference.workers import Workers
from app.lifecycle import Lifecycle
from app.machine import open_cap, open_frequency, open_node, shares_cores
from app.node import Node
from app.scheduling.dispatch import Limits
from app.scheduling.fair_slack import Policy
from app.scheduling.scheduler import Scheduler
from app.service import InferenceService
from app.settings import Settings, load_settings
from app.storage import (
    MemoryMaskCache,
    RedisLink,
    RedisMaskCache,
    SharedProfiles,
    TieredMaskCache,
)
from app.telemetry.metrics import CONTENT_TYPE, Metrics, NodeReading
from app.upkeep import Upkeep
from sentryfuse.bundle import read_bundle
from sentryfuse.errors import ConfigError
from sentryfuse.variants import VariantBuilder

_MASK_BYTES = 8 * 2**20
_DOCS_PAGE = Path(__file__).parent / "web" / "docs.html"
_DESCRIPTION = (
    "Say which sensors are alive and what you can spend; get the most accurate answer that fits, "
    "with a receipt."
)


def create_app(settings: Settings | None = None, policy: Policy | None = None) -> FastAPI:
    """Build the service.

    Args:
        settings: Read from the environment if not given.
        policy: Chooses what each batch runs; ours unless policies are compared.

    Raises:
        ConfigError: A setting makes no sense.
        BundleError: A bundle is missing, damaged or foreign.
    """
    settings = settings or load_settings()
    metrics = Metrics()
    link = _open_redis(settings)
    masks = _mask_cache(settings, link, metrics)
    builders = ThreadPoolExecutor(max_workers=1, thread_name_prefix="build")
    models = _load_models(settings, masks, builders, metrics)
    default_model = _default_model(settings, models)
    clock = time.perf_counter
    node = open_node(settings, clock)
    cap = open_cap(settings, node, clock)
    pump = _open_pump(settings, node, metrics, policy, clock)
    service = InferenceService(
        models,
        pump=pump,
        node=node,
        metrics=metrics,
        cap=cap,
        max_queue=settings.max_queue,
        clock=clock,
    )
    upkeep = Upkeep(
        pump,
        node,
        cap,
        received=lambda: service.received,
        shares_cores=shares_cores(settings),
        frequency=open_frequency(settings, clock()),
        battery_ratio=partial(charge_ratio, settings.sysfs_root),
        clock=clock,
    )
    profiles = HostProfiles(settings.profiles, SharedProfiles(link))
    lifecycle = Lifecycle(service, profiles=profiles, upkeep=upkeep, masks=masks, builders=builders)
    metrics.watch_node(partial(_read_node, service, lifecycle, link))

    return _web_app(settings, service, lifecycle, default_model)


def _open_pump(
    settings: Settings,
    node: Node,
    metrics: Metrics,
    policy: Policy | None,
    clock: Callable[[], float],
) -> Pump:
    scheduler = Scheduler(
        menu_of,
        Limits(
            cores=settings.workers,
            max_queue=settings.max_queue,
            max_windows=settings.batch_windows,
            patience_s=settings.max_wait_s,
            late_grace_s=settings.late_grace_s,
        ),
        node.gate,
        policy=policy,
    )
    return Pump(
        scheduler,
        Workers(settings.workers),
        charge=node.charge,
        metrics=metrics,
        threads=settings.threads,
        clock=clock,
    )


def _web_app(
    settings: Settings, service: InferenceService, lifecycle: Lifecycle, default_model: str
) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await lifecycle.start()
        yield
        await lifecycle.stop()

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
    app.state.lifecycle = lifecycle
    errors.install(app)
    endpoints = _infer_endpoints(settings, service, default_model)
    app.router.routes += [endpoint.route() for endpoint in endpoints]
    _add_routes(app, settings, service, lifecycle, default_model)
    # Around the framework's own layers, not within: inference needs none of them.
    app.middleware_stack = RequestIdentity(
        InferShortcut(app.build_middleware_stack(), *endpoints),
        metrics=service.metrics,
        models=frozenset(service.models),
        access_log=settings.access_log,
    )
    return app


def _open_redis(settings: Settings) -> RedisLink | None:
    if settings.redis_url is None:
        return None
    return RedisLink(settings.redis_url.get_secret_value())


def _mask_cache(settings: Settings, link: RedisLink | None, metrics: Metrics) -> TieredMaskCache:
    def count(tier: str, outcome: str) -> None:
        metrics.mask_cache.labels(tier, outcome).inc()

    shared = None
    if link is not None:
        shared = RedisMaskCache(link, ttl_s=settings.mask_ttl_s, on_outcome=count)
    memory = MemoryMaskCache(_MASK_BYTES, on_outcome=count)
    return TieredMaskCache(memory, shared, on_outcome=count)


def _load_models(
    settings: Settings, masks: TieredMaskCache, builders: ThreadPoolExecutor, metrics: Metrics
) -> dict[str, ServedModel]:
    models = {}
    for stored in find_models(settings.models):
        builder = VariantBuilder(read_bundle(stored.path), threads=settings.threads)
        registry = VariantRegistry(
            stored.name,
            builder,
            masks,
            builders=builders,
            limit=settings.max_variants,
            metrics=metrics,
        )
        models[stored.name] = ServedModel(stored, builder, registry, settings)
    return models


def _default_model(settings: Settings, models: dict[str, ServedModel]) -> str:
    name = settings.default_model or next(iter(models))
    if name not in models:
        raise ConfigError(
            f"SENTRYFUSE_DEFAULT_MODEL: no model {name!r}; there is {', '.join(models)}"
        )
    return name


def _infer_endpoints(
    settings: Settings, service: InferenceService, default_model: str
) -> tuple[InferEndpoint, InferEndpoint]:
    """Endpoints of the default model and of any model by name."""

    def make(path: str) -> InferEndpoint:
        return InferEndpoint(
            path,
            service,
            default_model=default_model,
            max_body_bytes=settings.max_body_bytes,
            max_batch=settings.max_batch,
        )

    return make("/v1/infer"), make("/v1/models/{model}/infer")


def _add_routes(
    app: FastAPI,
    settings: Settings,
    service: InferenceService,
    lifecycle: Lifecycle,
    default_model: str,
) -> None:
    native = NativeApi(
        service,
        default_model=default_model,
        max_batch=settings.max_batch,
        max_body_bytes=settings.max_body_bytes,
    )
    power = PowerApi(
        service, max_body_bytes=settings.max_body_bytes, admin_token=settings.admin_token
    )
    app.include_router(native.router())
    app.include_router(power.router())
    app.include_router(HealthApi(lifecycle, service, app.version).router())

    async def metrics(request: object) -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)

    async def docs(request: object) -> Response:
        return FileResponse(_DOCS_PAGE, media_type="text/html")

    app.router.routes.append(Route("/metrics", metrics))
    app.router.routes.append(Route("/docs", docs))
    openapi.install(
        app,
        service.model(default_model).bundle,
        default_model=default_model,
        idle_power_w=settings.idle_power_w,
    )


def _read_node(
    service: InferenceService, lifecycle: Lifecycle, link: RedisLink | None
) -> NodeReading:
    node, scheduler = service.node, service.scheduler
    node.tick(service.pump.totals().energy_j)
    accounts, estimator = node.accounts, scheduler.estimator
    return NodeReading(
        energy_source=node.meter.source,
        energy_quality=node.meter.quality,
        meter_faults=node.meter.faults,
        meter_failovers=node.meter.failovers,
        energy_j=accounts.total_j,
        energy_of_j={
            "idle": accounts.idle_j,
            "requests": accounts.requests_j,
            "overhead": accounts.overhead_j,
        },
        power_w=node.power_w,
        power_cap_w=node.gate.cap_w,
        power_tokens_j=None if node.gate.cap_w is None else node.gate.tokens_j(service.clock()),
        slowdown={"latency": estimator.latency.mean, "energy": estimator.energy.mean},
        queue_depth=scheduler.waiting,
        ready=lifecycle.ready,
        breaker_open=link.breaker.open if link is not None else None,
    )
