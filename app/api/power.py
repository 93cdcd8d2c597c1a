"""The node's power: what it draws, who pays for it, and its cap."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from app.api import schemas
from app.api.body import read_object
from app.errors import WrongFieldError
from app.power.cap import CapError, Site
from app.protocol import diagnosis
from app.scheduling.cap_schedule import ScheduleError, parse_schedule
from app.service import InferenceService

_HIGHEST_CAP_W = 1e6


class PowerApi:
    """GET and PUT /v1/power.

    Args:
        service: Whose node it is.
        max_body_bytes: Longest body that is read.
    """

    def __init__(self, service: InferenceService, *, max_body_bytes: int) -> None:
        self._service = service
        self._max_body_bytes = max_body_bytes

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["native"])
        add = router.add_api_route
        add("/v1/power", self.power, response_model=schemas.PowerInfo)
        add("/v1/power", self.set_power, methods=["PUT"], response_model=schemas.PowerInfo)
        return router

    async def power(self) -> dict[str, Any]:
        """Say what the node draws, who pays for it, and its cap."""
        service, node = self._service, self._service.node
        node.tick(service.pump.totals().energy_j)
        now_s, accounts, meter = service.clock(), node.accounts, node.meter
        schedule = service.cap.schedule
        return {
            "cap_w": service.cap.cap_w,
            "schedule": None if schedule is None else schedule.to_json(),
            "tokens_j": None if service.cap.cap_w is None else round(node.gate.tokens_j(now_s), 6),
            "power_w": round(node.power_w, 4),
            "idle_power_w": node.gate.idle_power_w,
            "arrival_rate_hz": round(service.scheduler.arrivals.rate_hz(now_s), 3),
            "energy_j": round(accounts.total_j, 4),
            "idle_j": round(accounts.idle_j, 4),
            "requests_j": round(accounts.requests_j, 4),
            "overhead_j": round(accounts.overhead_j, 4),
            "price_j_per_cpu_s": round(node.price, 4),
            "source": meter.source,
            "quality": meter.quality,
            "covers": meter.covers,
            "faults": dict(meter.faults),
            "failovers": meter.failovers,
            "site": _site(service.cap.site),
        }

    async def set_power(self, request: Request) -> dict[str, Any]:
        """Set the node's power cap, lift it with null, or have it follow a schedule.

        It holds until the next change or the end of the process.
        """
        content = await read_object(request, limit=self._max_body_bytes)
        if ("cap_w" in content) == ("schedule" in content):
            raise WrongFieldError(
                "the body must hold either cap_w or schedule, got "
                + ("both" if "cap_w" in content else "neither"),
                field="body",
            )
        cap = self._service.cap
        field = next(iter(content.keys() & {"cap_w", "schedule"}))
        try:
            if field == "cap_w":
                cap.fix(_watts(content["cap_w"]))
            else:
                cap.follow(parse_schedule(content["schedule"]))
        except ScheduleError as error:
            raise WrongFieldError(str(error), field=error.field) from None
        except CapError as error:
            idle_power_w = self._service.node.gate.idle_power_w
            raise WrongFieldError(
                f"{field}: {error}", field=field, idle_power_w=idle_power_w
            ) from None
        self._service.pump.turn()
        return await self.power()


def _site(site: Site | None) -> dict[str, Any] | None:
    reading = None if site is None else site.reading()
    return None if reading is None else asdict(reading)


def _watts(cap_w: object) -> float | None:
    if cap_w is None:
        return None
    if isinstance(cap_w, bool) or not isinstance(cap_w, int | float) or not cap_w < _HIGHEST_CAP_W:
        raise WrongFieldError(
            f"cap_w must be null, or watts above the idle power and below {_HIGHEST_CAP_W:g}, "
            f"got {diagnosis.kind(cap_w)}",
            field="cap_w",
        )
    return float(cap_w)
