"""The only wiring: from settings to an app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version

from app.api.parts import Companion, Parts
from app.api.web import WebApp, web_app
from app.inference.catalogue import Catalogue
from app.inference.control import ModelControl
from app.inference.departures import Departures
from app.inference.lineup import menu_of
from app.inference.loader import Loader
from app.inference.profiles import HostProfiles
from app.inference.pump import Pump
from app.inference.workers import Workers
from app.peers import Crew, Place, Voice
from app.power.battery import charge_ratio
from app.power.cap import Site
from app.power.membership import Membership
from app.power.node import Node
from app.power.opening import open_cap, open_frequency, open_node, shares_cores
from app.running.heartbeat import Heartbeat
from app.running.hunger import Hunger
from app.running.lifecycle import Lifecycle
from app.running.start_pace import StartPace
from app.running.upkeep import Upkeep
from app.scheduling.dispatch import Limits
from app.scheduling.fair_slack import Policy
from app.scheduling.scheduler import Scheduler
from app.security import Admission, KeyFollower, open_guard
from app.security.rate import RateLimiter
from app.service import InferenceService
from app.settings import Settings, load_settings
from app.storage import RedisLink, SharedProfiles
from app.stores import open_masks, open_redis, open_site
from app.telemetry.metrics import Metrics, NodeReading
from app.tracing import Tracer
from app.tracing.opening import open_tracer
from sentryfuse.errors import ConfigError

_DEPARTURE_S = 60.0  # how long a request may hold a model that is served no more


def create_app(
    settings: Settings | None = None, policy: Policy | None = None, crew: Crew | None = None
) -> WebApp:
    """Build the service.

    Args:
        settings: Read from the environment if not given.
        policy: Chooses what each batch runs; ours unless policies are compared.
        crew: The other processes of the service; None if there are none.

    Raises:
        ConfigError: A setting makes no sense.
        BundleError: A bundle is missing, damaged or foreign.
    """
    settings = settings or load_settings()
    metrics = Metrics()
    link = open_redis(settings, metrics)
    masks = open_masks(settings, link, metrics)
    clock = time.perf_counter
    node = open_node(settings, clock)
    site = open_site(settings, metrics, node.gate.idle_power_w, crew)
    cap = open_cap(settings, node, clock, None if crew is None else crew.rundir, site)
    pace = None if site is None else _start_pace(node)
    builders = ThreadPoolExecutor(max_workers=1, thread_name_prefix="build")
    loader = Loader(
        settings,
        masks=masks,
        profiles=HostProfiles(settings.profiles, SharedProfiles(link)),
        builders=builders,
        metrics=metrics,
        abreast=settings.workers if pace is None else 1,
        sleep=asyncio.sleep if pace is None else pace.rest,
    )
    models = Catalogue()
    control = ModelControl(
        settings.models,
        models,
        loader,
        Departures(deadline_s=_DEPARTURE_S),
        metrics,
        newest=settings.serve_versions,
    )
    default_model = _default_model(settings, control.read(settings.load_models))
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
    lifecycle = Lifecycle(
        service,
        link=link,
        control=control,
        upkeep=upkeep,
        masks=masks,
        builders=builders,
        heartbeat=Heartbeat(clock),
        stuck_s=settings.stuck_s,
        crew=crew,
        membership=site if isinstance(site, Membership) else None,
        pace=pace,
    )
    hunger = None if site is None else _join_site(site, service, upkeep, crew)
    place = Place.alone() if crew is None else crew.place
    metrics.watch_node(partial(_read_node, service, lifecycle, link, place))
    if crew is not None:
        _join(crew, service, lifecycle, control, hunger)
    admission, keys = _open_admission(settings, metrics, clock)

    tracer = open_tracer(settings, version=version("sentryfuse"), clock=clock)

    return web_app(
        Parts(
            settings=settings,
            service=service,
            lifecycle=lifecycle,
            control=control,
            admission=admission,
            keys=keys,
            default_model=default_model,
            tracer=tracer,
            crew=crew,
            rpc=_open_rpc(settings, service, lifecycle, control, admission, tracer),
        )
    )


def _join_site(site: Site, service: InferenceService, upkeep: Upkeep, crew: Crew | None) -> Hunger:
    """Have a node that speaks for itself ask for what it needs, and keep what it gets."""
    hunger = Hunger(service, others_w=crew.others_wanted_w if crew is not None else lambda: 0.0)
    if isinstance(site, Membership):
        site.demand = hunger.demand
        site.changed = upkeep.keep_cap
    return hunger


def _open_admission(
    settings: Settings, metrics: Metrics, clock: Callable[[], float]
) -> tuple[Admission, KeyFollower | None]:
    guard, keys = open_guard(
        settings.api_keys_file,
        on_refusal=lambda why: metrics.auth_refused.labels(why).inc(),
        on_read=lambda outcome: metrics.keys_read.labels(outcome).inc(),
    )
    rate_hz = settings.rate_limit_hz
    admission = Admission(
        guard,
        RateLimiter(rate_hz, settings.rate_burst) if rate_hz else None,
        on_shed=metrics.shed.labels("rate_limited").inc,
        trusted_proxies=settings.trusted_proxies,
        clock=clock,
    )
    return admission, keys


def _open_rpc(
    settings: Settings,
    service: InferenceService,
    lifecycle: Lifecycle,
    control: ModelControl,
    admission: Admission,
    tracer: Tracer | None,
) -> Companion | None:
    if settings.grpc_port is None:
        return None
    try:
        from app.rpc.opening import open_rpc
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"SENTRYFUSE_GRPC_PORT needs {error.name}: pip install 'sentryfuse[grpc]'"
        ) from error
    return open_rpc(settings, settings.grpc_port, service, lifecycle, control, admission, tracer)


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
        Workers(settings.workers, clock),
        charge=node.charge,
        metrics=metrics,
        threads=settings.threads,
        clock=clock,
    )


def _start_pace(node: Node) -> StartPace:
    """Get ready within what the site leaves this node."""
    return StartPace(
        lambda: (node.gate.cap_w or 0.0) - node.gate.idle_power_w, price_w=lambda: node.price
    )


def _default_model(settings: Settings, names: tuple[str, ...]) -> str:
    name = settings.default_model or names[0]
    if name not in names:
        raise ConfigError(
            f"SENTRYFUSE_DEFAULT_MODEL: no model {name!r}; there is {', '.join(names)}"
        )
    return name


def _join(
    crew: Crew,
    service: InferenceService,
    lifecycle: Lifecycle,
    control: ModelControl,
    hunger: Hunger | None,
) -> None:
    """Let this process and the others hear of each other."""
    control.changed = crew.order

    async def wanted_w() -> float:
        if hunger is None:
            return 0.0
        await hunger.look()
        return hunger.wanted_w

    crew.speak_for(
        Voice(
            families=service.metrics.families,
            ready=lambda: lifecycle.ready_itself,
            ailments=lambda: lifecycle.ailments,
            charged_j=lambda: service.node.accounts.charged_j,
            charge_others=service.node.charge_others,
            wanted_w=wanted_w,
            carry_out=control.carry_out,
        )
    )


def _read_node(
    service: InferenceService, lifecycle: Lifecycle, link: RedisLink | None, place: Place
) -> NodeReading:
    node, scheduler = service.node, service.scheduler
    node.tick(service.pump.totals().energy_j)
    estimator, drawn = scheduler.estimator, node.share_of(leads=place.leads)
    return NodeReading(
        energy_source=node.meter.source,
        energy_quality=node.meter.quality,
        meter_faults=node.meter.faults,
        meter_failovers=node.meter.failovers,
        energy_j=drawn.idle_j + drawn.requests_j + drawn.overhead_j,
        energy_of_j={
            "idle": drawn.idle_j,
            "requests": drawn.requests_j,
            "overhead": drawn.overhead_j,
        },
        power_w=drawn.power_w,
        power_cap_w=service.cap.cap_w,
        power_tokens_j=None if node.gate.cap_w is None else node.gate.tokens_j(service.clock()),
        slowdown={"latency": estimator.latency.mean, "energy": estimator.energy.mean},
        queue_depth=scheduler.waiting,
        site=service.cap.site.reading() if service.cap.site is not None and place.leads else None,
        ready=lifecycle.ready,
        breaker_open=link.breaker.open if link is not None else None,
    )
