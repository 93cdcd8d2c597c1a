"""Finds out how much power the node would draw, from what the service does and is asked."""

from __future__ import annotations

from collections.abc import Callable

from app.service import InferenceService
from app.site.appetite import Appetite, Load

_LEAST_SPAN_S = 0.2


class Hunger:
    """Looks at the service whenever it is asked. Lives on its event loop.

    Args:
        service: Whose hunger it is.
        others_w: What the other processes of the node want above idle.
    """

    def __init__(
        self, service: InferenceService, *, others_w: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._service = service
        self._others_w = others_w
        self._appetite = Appetite()
        self._seen_s = service.clock()
        self._seen_received = service.received

    @property
    def wanted_w(self) -> float:
        """What this process wants above idle."""
        return self._appetite.wanted_w

    async def look(self) -> None:
        """Take in how things are now."""
        service = self._service
        now_s = service.clock()
        elapsed_s = now_s - self._seen_s
        if elapsed_s < _LEAST_SPAN_S:
            return
        received, self._seen_received = self._seen_received, service.received
        self._seen_s = now_s
        node = service.node
        idle_w = node.gate.idle_power_w
        cap_w = node.gate.cap_w
        load = Load(
            active_w=max(node.power_w - idle_w, 0.0),
            room_w=0.0 if cap_w is None else max(cap_w - idle_w, 0.0),
            asked_w=await self._asked_w((service.received - received) / elapsed_s),
        )
        self._appetite = self._appetite.after(load, elapsed_s)

    async def demand(self) -> tuple[float, float]:
        """Power that the node would draw, and power that it draws in any case."""
        await self.look()
        idle_w = self._service.node.gate.idle_power_w
        return idle_w + self.wanted_w + self._others_w(), idle_w

    async def _asked_w(self, rate_hz: float) -> float:
        """What these requests would draw, each with the dearest variant, and all that is beside."""
        service = self._service
        price_w = service.node.price
        warm = [model for model in service.models if model.warm]
        if not warm:
            return price_w  # a core gets it ready
        dearest_j = 0.0
        for model in warm:
            lineup = await model.lineup(model.spec.full_presence)
            dearest_j = max(dearest_j, *(o.energy_j for o in lineup.options(1)))
        scheduler, now_s = service.scheduler, service.clock()
        dearest_j *= scheduler.estimator.energy.mean
        served_hz = scheduler.arrivals.rate_hz(now_s)
        return service.node.accounts.unattributed_w + max(rate_hz, served_hz) * dearest_j
