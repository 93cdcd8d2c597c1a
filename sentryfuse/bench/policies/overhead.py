"""What the scheduler itself costs: the real clock, while a thousand requests wait."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass

from app.scheduling.dispatch import Limits
from app.scheduling.menu import Menu
from app.scheduling.power_gate import PowerGate
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Budget, Request
from sentryfuse.bench.policies.node import Node

_WARM_UP = 200
_BUDGET_S = 0.5  # a thousand requests are served in less


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What the scheduler took, one value for each dispatch."""

    request_s: tuple[float, ...]
    """submit + next + finished, for each request of the batch."""
    submit_s: tuple[float, ...]
    """For each request of the batch."""
    dispatch_s: tuple[float, ...]
    """next + finished, for the batch."""
    requests: tuple[int, ...]
    """In the batch."""


def plan_seconds(node: Node, *, queued: int = 1000, rounds: int = 2000) -> PlanCost:
    """Measure what a request costs the scheduler while ``queued`` others wait.

    In each round one batch is dispatched and finished, and as many requests are submitted; groups
    are the node's presences in turn. The clock that the scheduler is told stands for as many
    requests per second as the node carries.
    """
    menus: dict[Hashable, Menu] = {bits: node.menu(bits) for bits in node.ladders}
    scheduler = Scheduler(
        menus.__getitem__,
        Limits(cores=node.cores, max_queue=2 * queued),
        PowerGate(cap_w=None, idle_power_w=node.idle_power_w, now_s=0.0),
    )
    groups = list(node.ladders)
    budget = Budget(latency_s=_BUDGET_S, strict=True)
    each_s = 1 / node.capacity_hz()

    def submit(first: int, count: int) -> float:
        requests = [
            Request(id=i, group=groups[i % len(groups)], budget=budget, received_s=i * each_s)
            for i in range(first, first + count)
        ]
        started = time.perf_counter()
        for request in requests:
            scheduler.submit(request, request.received_s)
        return time.perf_counter() - started

    submit(0, queued)
    made = queued
    rows = []
    for _ in range(_WARM_UP + rounds):
        now_s = made * each_s
        started = time.perf_counter()
        dispatch = scheduler.next(now_s)
        if dispatch is None:
            raise RuntimeError("a free core found nothing to do among a full queue")
        option = dispatch.offer.option
        scheduler.finished(
            dispatch, latency_s=option.latency_s, energy_j=option.energy_j, now_s=now_s
        )
        dispatch_s = time.perf_counter() - started
        count = len(dispatch.requests)
        submit_s = submit(made, count)
        made += count
        rows.append(((dispatch_s + submit_s) / count, submit_s / count, dispatch_s, count))
    return PlanCost(*zip(*rows[_WARM_UP:], strict=True))
