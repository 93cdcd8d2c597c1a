"""A simulated node whose event loop reads, hands over and writes, one thing after the other.

What holds up a real one: a worker's thread can't begin before the loop lets go of the interpreter,
and the loop hears of an inference that has ended when it gets to it. Both grow with the load,
although nothing in the profile of the host says so.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.scheduling.dispatch import Dispatch, Limits
from app.scheduling.handover import Handover
from app.scheduling.menu import Menu
from app.scheduling.power_gate import PowerGate
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Budget, Request, VariantCost

# Ratio in thousandths: ms of one window, expected accuracy.
LADDER = {0: (1.3, 0.950), 500: (0.65, 0.945), 900: (0.32, 0.935)}
# By the profile a batch saves nothing: large ones leave the caches.
DEARER = 0.005
READ_S, WRITE_S, HEAR_S, WAKE_S = 0.0003, 0.0002, 0.0001, 0.0004
SHARED = 1.4  # factor on inference while every core has one and the loop needs a core too
BUDGET_S = 0.016


def costs(windows: int) -> list[VariantCost]:
    return [
        VariantCost(
            permille=permille,
            flops=int(1e6 * each_ms),
            latency_s=each_ms * windows * (1 + DEARER * windows) * 1e-3,
            energy_j=5e-3 * each_ms * windows * (1 + DEARER * windows),
            expected_accuracy=accuracy,
            batch=windows,
        )
        for permille, (each_ms, accuracy) in LADDER.items()
    ]


class Blind(Handover):
    """Sees no handover, as if there were none."""

    def updated(self, seconds: float, energy_j: float = 0.0) -> Handover:
        return self


@dataclass
class Served:
    """What came of it, in the order of answers."""

    at_s: list[float] = field(default_factory=list)
    in_time: list[bool] = field(default_factory=list)
    permille: list[int] = field(default_factory=list)
    batch: list[int] = field(default_factory=list)

    def attainment(self, requests: int) -> float:
        return sum(self.in_time) / requests

    def share(self, permille: int, start_s: float, end_s: float) -> float:
        """Part of the answers in a stretch of time that came from a variant."""
        found = [p for at, p in zip(self.at_s, self.permille, strict=True) if start_s <= at < end_s]
        return found.count(permille) / len(found)


def poisson(rate_hz: float, start_s: float, end_s: float, seed: int) -> list[float]:
    rng, at_s, found = random.Random(seed), start_s, []
    while (at_s := at_s + rng.expovariate(rate_hz)) < end_s:
        found.append(at_s)
    return found


class BusyLoop:
    """Runs a scheduler on it, for requests of one accuracy floor or none."""

    def __init__(
        self,
        *,
        cores: int = 2,
        seed: int = 0,
        blind: bool = False,
        accuracy_floor: float | None = None,
    ) -> None:
        menu = Menu(costs)
        self.scheduler = Scheduler(
            lambda group: menu,
            Limits(cores=cores),
            PowerGate(cap_w=None, idle_power_w=3.0, now_s=0.0),
        )
        self.scheduler.overhead_core_s = READ_S + WRITE_S + HEAR_S
        if blind:
            self.scheduler.handover = Blind()
        self.served = Served()
        self._budget = Budget(latency_s=BUDGET_S, accuracy_floor=accuracy_floor)
        self._rng = random.Random(seed)
        self._free_s = 0.0
        self._count = itertools.count()
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []

    def run(self, arrivals: Sequence[float]) -> Served:
        for number, at_s in enumerate(arrivals):
            self._at(at_s, self._arrive, number)
        while self._events:
            now_s, _, what, detail = heapq.heappop(self._events)
            what(now_s, detail)
        return self.served

    def _at(self, at_s: float, what: Callable[..., None], detail: Any) -> None:
        heapq.heappush(self._events, (at_s, next(self._count), what, detail))

    def _loop(self, now_s: float, took_s: float) -> float:
        """Have the loop do something; return when it is done."""
        self._free_s = max(self._free_s, now_s) + took_s
        return self._free_s

    def _arrive(self, now_s: float, number: int) -> None:
        request = Request(id=number, group="a", budget=self._budget, received_s=now_s)
        self._at(self._loop(now_s, READ_S), self._submit, request)

    def _submit(self, now_s: float, request: Request) -> None:
        self.scheduler.submit(request, now_s)
        self._turn(now_s)

    def _turn(self, now_s: float) -> None:
        while (dispatch := self.scheduler.next(now_s)) is not None:
            began_s = max(self._free_s, now_s) + WAKE_S
            took_s = dispatch.offer.latency_s * self._rng.lognormvariate(0.0, 0.1)
            if not self.scheduler.free_cores:
                took_s *= SHARED
            self._at(began_s + took_s, self._ended, (dispatch, took_s))
        self.scheduler.dropped()

    def _ended(self, now_s: float, what: tuple[Dispatch, float]) -> None:
        self._at(self._loop(now_s, HEAR_S), self._heard, what)

    def _heard(self, now_s: float, what: tuple[Dispatch, float]) -> None:
        dispatch, took_s = what
        self.scheduler.finished(
            dispatch, latency_s=took_s, energy_j=dispatch.offer.option.energy_j, now_s=now_s
        )
        self._turn(now_s)
        served = self.served
        for request in dispatch.requests:
            written_s = self._loop(now_s, WRITE_S)
            served.at_s.append(written_s)
            served.in_time.append(written_s - request.received_s <= BUDGET_S)
            served.permille.append(dispatch.offer.option.permille)
            served.batch.append(len(dispatch.requests))
