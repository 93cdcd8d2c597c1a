"""The service as it is at this moment, for who watches it live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.running.lifecycle import Lifecycle, Phase
from app.service import InferenceService
from app.telemetry.families import Families
from app.telemetry.live import totals

_FRESH_S = 0.5  # whoever asks meanwhile gets the same: many watchers cost as much as one


class LivePower(BaseModel):
    """The node's power, and what its energy went into."""

    model_config = ConfigDict(extra="forbid")

    now_w: float = Field(description="Mean of the last second")
    cap_w: float | None
    idle_w: float
    source: str
    quality: Literal["measured", "modelled"]
    covers: Literal["node", "process"] = Field(description="Whose work the meter sees")
    energy_j: dict[str, float] = Field(description="By use: requests, idle, overhead")
    faults: dict[str, float]
    failovers: float


class LiveLatency(BaseModel):
    """How long answered requests took."""

    model_config = ConfigDict(extra="forbid")

    bounds_s: list[float] = Field(description="Upper bounds, ascending")
    counts: list[float] = Field(description="Requests up to each bound, then those above all")


class LiveVariant(BaseModel):
    """A variant that has answered something."""

    model_config = ConfigDict(extra="forbid")

    model: str
    version: str
    presence: list[str]
    presence_hex: str
    ratio: float
    windows: float
    energy_j: float


class LiveVariants(BaseModel):
    """Variants in memory."""

    model_config = ConfigDict(extra="forbid")

    in_memory: int
    used: list[LiveVariant]


class LiveModel(BaseModel):
    """One model that is served."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    ready: bool


class Live(BaseModel):
    """The service now; what is counted is counted since its start, over all of its processes."""

    model_config = ConfigDict(extra="forbid")

    at_s: float = Field(description="Monotone seconds of this reading: rates are differences")
    started_s: float | None = Field(description="Seconds since 1970")
    version: str
    processes: int
    status: Phase
    because: list[str] = Field(description="Why it is not ready")
    models: list[LiveModel]
    memory_bytes: float | None
    queue_depth: float | None
    streams_open: float | None
    redis_breaker_open: bool | None = Field(description="Null without Redis")
    power: LivePower
    requests: dict[str, float] = Field(description="Inference requests: answered, refused")
    latency: LiveLatency
    budgets: dict[str, dict[str, float]] = Field(description="By kind: met, missed, refused")
    shed: dict[str, float] = Field(description="Refusals by reason")
    mask_cache: dict[str, dict[str, float]] = Field(description="By tier: hit, miss and others")
    slowdown: dict[str, float] = Field(description="Observed over what the host profile says")
    variants: LiveVariants


class LiveApi:
    """GET /v1/live.

    Args:
        service: What is watched.
        lifecycle: Knows the phase of the service.
        families: Reads the metrics of all of its processes.
        version: Of the service.
        processes: How many it has.
    """

    def __init__(
        self,
        service: InferenceService,
        lifecycle: Lifecycle,
        *,
        families: Callable[[], Awaitable[Families]],
        version: str,
        processes: int,
    ) -> None:
        self._service = service
        self._lifecycle = lifecycle
        self._families = families
        self._version = version
        self._processes = processes
        self._latest: dict[str, Any] = {"at_s": float("-inf")}

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["native"])
        router.add_api_route("/v1/live", self.live, response_model=Live)
        return router

    async def live(self) -> dict[str, Any]:
        """Say how the service is at this moment, as its live page shows it."""
        if self._service.clock() - self._latest["at_s"] >= _FRESH_S:
            self._latest = await self._read()
        return self._latest

    async def _read(self) -> dict[str, Any]:
        service, lifecycle, node = self._service, self._lifecycle, self._service.node
        found = totals(await self._families())
        found["power"] |= {"idle_w": node.gate.idle_power_w, "covers": node.meter.covers}
        return {
            "at_s": service.clock(),
            "version": self._version,
            "processes": self._processes,
            "status": lifecycle.phase,
            "because": list(lifecycle.obstacles),
            "models": [
                {"name": model.name, "version": model.version, "ready": model.warm}
                for name in service.models.names
                for model in (service.model(name),)
            ],
            **found,
        }
