"""Every Prometheus metric of the service, in base units (DESIGN 5.6).

Label values come from closed sets: models that are served, variants that are in memory, routes
that exist. One :class:`Metrics` belongs to one app; nothing is global.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.scheduling.types import BudgetKind
from app.site.reading import SiteReading
from app.telemetry.families import Families, Family, collected
from app.telemetry.histogram import Histogram
from app.telemetry.variants import Owner, VariantMeters, variants_text
from sentryfuse.energy import Fault, Quality
from sentryfuse.variants import VariantCard

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (
    *(0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_WINDOWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
Stage = Literal["parse", "build", "queue", "batch", "inference", "overhead"]
STAGES: tuple[Stage, ...] = get_args(Stage)
BudgetOutcome = Literal["met", "missed", "refused"]
SHED_REASONS = (
    *("rate_limited", "queue_full", "queue_timeout", "busy", "deadline", "impossible", "not_ready"),
    *("power_cap", "power", "energy", "accuracy"),
)
"""Why requests are refused or given up."""


@dataclass(frozen=True, slots=True)
class NodeReading:
    """What the node reports when it is scraped."""

    energy_source: str
    energy_quality: Quality
    meter_faults: Mapping[Fault, int]
    meter_failovers: int
    energy_j: float
    energy_of_j: Mapping[str, float]
    """By what it went into; adds up to all of it."""
    power_w: float
    power_cap_w: float | None
    power_tokens_j: float | None
    """Energy that the cap lets through now, a debt if negative; None without a cap."""
    slowdown: Mapping[str, float]
    """What is observed over what the host profile says, of latency and of energy."""
    queue_depth: int
    ready: bool
    breaker_open: bool | None
    """None without Redis."""
    site: SiteReading | None = None
    """None where no site shares its power, or another process speaks for the node."""


class Metrics:
    """Registers and updates the metrics of one app."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.request_seconds = Histogram(
            "sentryfuse_request_duration_seconds",
            "Time from the request's headers to the end of its answer",
            ("model", "route", "code"),
            bounds=_SECONDS,
            registry=registry,
        )
        stage_seconds = Histogram(
            "sentryfuse_stage_duration_seconds",
            "Time an inference request spends in each stage",
            ("stage",),
            bounds=_SECONDS,
            registry=registry,
        )
        self.stages = {stage: stage_seconds.labels(stage) for stage in STAGES}
        """Time that inference requests spend in each stage."""
        self.batch_size = Histogram(
            "sentryfuse_batch_size",
            "Windows in one inference",
            (),
            bounds=_WINDOWS,
            registry=registry,
        ).labels()
        self.budget = self._counter("budget", "Budgets asked, met or missed", ("kind", "outcome"))
        self.shed = self._counter("shed", "Requests refused or given up", ("reason",))
        # From zero: of a counter that first appears at one, nobody sees the increase.
        for kind, outcome in product(get_args(BudgetKind), get_args(BudgetOutcome)):
            self.budget.labels(kind, outcome)
        for reason in SHED_REASONS:
            self.shed.labels(reason)
        self.mask_cache = self._counter("mask_cache", "Look-ups of masks", ("tier", "outcome"))
        self.auth_refused = self._counter("auth_refused", "API keys turned away", ("reason",))
        self.connections_closed = self._counter(
            "connections_closed", "Connections closed for breaking a limit", ("reason",)
        )
        self.keys_read = self._counter("api_keys_read", "Readings of the key file", ("outcome",))
        self.redis_failures = self._counter(
            "redis_failures", "Commands that Redis gave no usable answer to", ("reason",)
        )
        self.model_loads = self._counter("model_loads", "Versions asked to load", ("outcome",))
        self._models = Gauge(
            "sentryfuse_model_info",
            "Models that are served, with the digest of their bundles",
            ("model", "version", "digest"),
            registry=registry,
        )
        self._presence = Gauge(
            "sentryfuse_presence_info",
            "Names of the sensors in a presence",
            ("model", "version", "presence", "modalities"),
            registry=registry,
        )
        self._shown: Tally[tuple[str, ...]] = Tally()
        self._variants: dict[VariantMeters, None] = {}

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"sentryfuse_{name}", text, labels, registry=self.registry)

    def show_model(self, owner: Owner, digest: str) -> None:
        """Show a model that is served from now on."""
        self._models.labels(owner.model, owner.version, digest).set(1)

    def hide_model(self, owner: Owner, digest: str) -> None:
        """Forget a model."""
        self._models.remove(owner.model, owner.version, digest)

    def meters(self, owner: Owner, card: VariantCard) -> VariantMeters:
        """Return counters for a variant, which are not shown yet."""
        return VariantMeters(owner, card, _SECONDS)

    def show(self, meters: VariantMeters) -> None:
        """Show a variant that can be run from now on."""
        self._variants[meters] = None
        self._shown[meters.presence] += 1
        self._presence.labels(*meters.presence).set(1)

    def hide(self, meters: VariantMeters) -> None:
        """Forget a variant; should it return, its counters start anew."""
        del self._variants[meters]
        self._shown[meters.presence] -= 1
        if not self._shown[meters.presence]:
            del self._shown[meters.presence]
            self._presence.remove(*meters.presence)

    def watch_node(self, read: Callable[[], NodeReading]) -> None:
        """Report the node as ``read`` finds it at each scrape."""
        self.registry.register(_NodeCollector(read))

    def families(self) -> Families:
        """Return everything as values, to be added to those of other processes."""
        families = collected(self.registry)
        for meters in self._variants:
            for name, kind, text, series, value in meters.samples():
                family = families.setdefault(name, Family(name, kind, text))
                family.series[series] = value
        return families

    def traced(self) -> Families:
        """Return what has exemplars."""
        return collected(self.request_seconds)

    def render(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry) + variants_text([*self._variants]).encode()


class _NodeCollector(Collector):
    """Turns one consistent reading of the node into metrics."""

    def __init__(self, read: Callable[[], NodeReading]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Nothing in advance, so that registering does not read the node."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the node once."""
        node = self._read()
        power = GaugeMetricFamily(
            "sentryfuse_node_power_watts", "Power of the node", labels=["source"]
        )
        power.add_metric([node.energy_source], node.power_w)
        yield power
        energy = CounterMetricFamily(
            "sentryfuse_node_energy_joules", "Energy of the node", labels=["source"]
        )
        energy.add_metric([node.energy_source], node.energy_j)
        yield energy
        of = CounterMetricFamily(
            "sentryfuse_energy_joules", "Energy of the node by what it went into", labels=["use"]
        )
        for use, joules in node.energy_of_j.items():
            of.add_metric([use], joules)
        yield of
        yield from self._meter(node)
        slowdown = GaugeMetricFamily(
            "sentryfuse_slowdown_ratio",
            "What is observed over what the host profile says",
            labels=["of"],
        )
        for what, factor in node.slowdown.items():
            slowdown.add_metric([what], factor)
        yield slowdown
        gauges: tuple[tuple[str, str, Any], ...] = (
            ("power_cap_watts", "Power the node must keep under", node.power_cap_w),
            ("power_tokens_joules", "Energy that the cap lets through now", node.power_tokens_j),
            ("queue_depth", "Requests waiting for a core", node.queue_depth),
            ("ready", "Whether the service is ready", node.ready),
            ("redis_breaker_open", "Whether Redis is being left alone", node.breaker_open),
        )
        for name, text, value in gauges:
            if value is not None:
                yield GaugeMetricFamily(f"sentryfuse_{name}", text, value=float(value))

        if node.site is not None:
            yield from self._site(node.site)

    @staticmethod
    def _site(site: SiteReading) -> Iterator[Metric]:
        gauges = (
            ("cap_watts", "Power that all nodes of the site must keep under", site.cap_w),
            ("pool_watts", "Power that the site can lend, as this node sees it", site.pool_w),
            ("share_watts", "Power guaranteed to this node", site.share_w),
            ("lent_watts", "Power lent to this node above its share", site.lent_w),
            ("demand_watts", "Power that this node would draw without cap", site.demand_w),
            ("nodes", "Nodes of the site that were heard of, this one included", site.nodes),
            ("in_touch", "Whether the site's ledger could be agreed on", site.in_touch),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(f"sentryfuse_site_{name}", text, value=float(value))
        rounds = CounterMetricFamily(
            "sentryfuse_site_rounds", "Attempts to agree on the site's ledger", labels=["outcome"]
        )
        for outcome, count in site.rounds.items():
            rounds.add_metric([outcome], count)
        yield rounds

    @staticmethod
    def _meter(node: NodeReading) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "sentryfuse_meter_info", "How energy is known", labels=["source", "quality"]
        )
        info.add_metric([node.energy_source, node.energy_quality], 1)
        yield info
        faults = CounterMetricFamily(
            "sentryfuse_meter_faults", "Readings of the meter that were odd", labels=["fault"]
        )
        for fault in get_args(Fault):
            faults.add_metric([fault], node.meter_faults.get(fault, 0))
        yield faults
        yield CounterMetricFamily(
            "sentryfuse_meter_failovers",
            "How often another meter had to take over",
            value=node.meter_failovers,
        )
