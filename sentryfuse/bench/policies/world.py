"""A discrete-event simulation of one node, driving the scheduler exactly as the server does."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

import numpy as np

from app.scheduling.dispatch import Dispatch, Limits
from app.scheduling.estimator import Estimator
from app.scheduling.fair_slack import Policy
from app.scheduling.menu import Menu
from app.scheduling.power_gate import PowerGate
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Budget, Request, VariantCost
from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.traces import Trace

METER_S = 0.25
"""How often the meter is read."""

_SCATTER_DRAWS = 4096


class Fate(IntEnum):
    """What became of a request."""

    IN_TIME = 0
    LATE = 1
    DROPPED = 2
    REFUSED = 3


@dataclass(slots=True)
class Run:
    """Everything that a run is judged by; lists are by request, in order of arrival."""

    trace: Trace
    policy: str
    fates: list[Fate]
    accuracy: list[float]
    """Expected accuracy of the variant that answered; 0 without an answer."""
    latency_s: list[float]
    """From arrival to answer; NaN without one."""
    energy_j: float = 0.0
    """Active energy of the node."""
    idle_power_w: float = 0.0
    second_energy_j: list[float] = field(default_factory=list)
    """Active energy of each second."""
    dispatches: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """One batch, for a time line."""

    at_s: float
    permille: int
    requests: int
    cores: int
    waiting: int
    """Requests still in line behind it."""


class _Event(IntEnum):
    """Kinds of events, in the order in which those of one moment are handled."""

    CAP = 0
    FINISH = 1
    METER = 2
    ARRIVE = 3
    WAKE = 4


def simulate(
    node: Node, trace: Trace, policy: Policy, *, estimator: Estimator | None = None
) -> Run:
    """Replay a trace on a node under a policy.

    Every request is strict and has the trace's latency budget, so one that can't be in time is
    refused or dropped and counts as wrong.
    """
    return _World(node, trace, policy, estimator).run()


class _World:
    """One simulated run.

    Service takes the profile's time x scatter, stretched while a neighbour steals; energy is
    the profile's CPU time x scatter x watts per core, which stealing does not change.
    """

    def __init__(
        self, node: Node, trace: Trace, policy: Policy, estimator: Estimator | None
    ) -> None:
        self._node, self._trace = node, trace
        error = trace.profile_error
        self._told: dict[Hashable, Menu] = {b: node.menu(b, error) for b in node.ladders}
        self._true: dict[Hashable, Menu] = {b: node.menu(b) for b in node.ladders}
        self._known: dict[tuple[object, ...], VariantCost] = {}
        self._budget = Budget(latency_s=trace.deadline_s, strict=True)
        self._gate = PowerGate(cap_w=trace.caps[0][1], idle_power_w=node.idle_power_w, now_s=0.0)
        self._scheduler = Scheduler(
            self._told.__getitem__,
            Limits(cores=node.cores),
            self._gate,
            policy=policy,
            estimator=estimator,
        )
        self._seconds = Seconds(trace.duration_s)
        rng = np.random.default_rng([trace.seed, 1])
        self._scatter = np.exp(node.scatter * rng.standard_normal(_SCATTER_DRAWS)).tolist()
        self._draws = 0
        self._stolen = [since_s for since_s, _ in trace.slowdowns]
        self._events: list[tuple[float, _Event, int, Dispatch | None, float, float]] = []
        self._order = count()
        self._wake_s = math.inf
        size = len(trace.arrivals)
        self._run = Run(
            trace=trace,
            policy=policy.name,
            fates=[Fate.DROPPED] * size,
            accuracy=[0.0] * size,
            latency_s=[math.nan] * size,
            idle_power_w=node.idle_power_w,
        )

    def run(self) -> Run:
        """Replay until every request has its fate."""
        trace, arrivals = self._trace, self._trace.arrivals
        for since_s, cap_w in trace.caps[1:]:
            self._at(since_s, _Event.CAP, value=math.inf if cap_w is None else cap_w)
        if any(cap_w is not None for _, cap_w in trace.caps):
            self._at(METER_S, _Event.METER)
        following = 0
        while following < len(arrivals) or self._scheduler.waiting or self._busy:
            arrival_s = arrivals[following].at_s if following < len(arrivals) else math.inf
            if self._events and self._events[0][:2] < (arrival_s, _Event.ARRIVE):
                now_s = self._handle()
            elif arrival_s < math.inf:
                now_s = arrival_s
                self._arrive(following, now_s)
                following += 1
            else:  # nothing will ever free what waits: its deadline passes
                now_s = math.inf
            self._pump(now_s)
        run = self._run
        run.energy_j = self._seconds.total_j
        run.second_energy_j = self._seconds.energy_j
        return run

    @property
    def _busy(self) -> bool:
        return self._scheduler.free_cores < self._node.cores

    def _at(
        self,
        when_s: float,
        kind: _Event,
        dispatch: Dispatch | None = None,
        value: float = 0.0,
        energy_j: float = 0.0,
    ) -> None:
        entry = (when_s, kind, next(self._order), dispatch, value, energy_j)
        heapq.heappush(self._events, entry)

    def _handle(self) -> float:
        now_s, kind, _, dispatch, value, energy_j = heapq.heappop(self._events)
        if kind is _Event.FINISH and dispatch is not None:
            self._finish(dispatch, now_s, value, energy_j)
        elif kind is _Event.CAP:
            self._gate.set_cap(None if value == math.inf else value, now_s)
        elif kind is _Event.METER:
            active_w = self._seconds.between(now_s - METER_S, now_s) / METER_S
            self._gate.observe(self._node.idle_power_w + active_w, 0.0, now_s)
            self._at(now_s + METER_S, _Event.METER)
        elif now_s >= self._wake_s:  # an older, later alarm must not be set again
            self._wake_s = math.inf
        return now_s

    def _arrive(self, index: int, now_s: float) -> None:
        arrival = self._trace.arrivals[index]
        request = Request(
            id=index,
            group=arrival.presence_bits,
            budget=self._budget,
            received_s=now_s,
            windows=arrival.windows,
        )
        if self._scheduler.submit(request, now_s) is not None:
            self._run.fates[index] = Fate.REFUSED

    def _pump(self, now_s: float) -> None:
        scheduler = self._scheduler
        while (dispatch := scheduler.next(now_s)) is not None:
            self._start(dispatch, now_s)
        scheduler.dropped()  # their fate is DROPPED unless something else becomes of them
        wake_s = scheduler.wake_s
        if wake_s < self._wake_s:
            self._wake_s = max(wake_s, now_s)
            self._at(self._wake_s, _Event.WAKE)

    def _start(self, dispatch: Dispatch, now_s: float) -> None:
        told = dispatch.offer
        truth = self._truth(dispatch)
        scatter = self._scatter[self._draws % _SCATTER_DRAWS]
        self._draws += 1
        energy_j = truth.energy_j * scatter
        end_s = self._end_s(now_s, truth.latency_s * scatter)
        self._seconds.burn(now_s, end_s, energy_j)
        self._at(end_s, _Event.FINISH, dispatch, end_s - now_s, energy_j)
        self._run.dispatches.append(
            Decision(
                at_s=now_s,
                permille=told.option.permille,
                requests=told.requests,
                cores=dispatch.cores,
                waiting=self._scheduler.waiting,
            )
        )

    def _truth(self, dispatch: Dispatch) -> VariantCost:
        """What a dispatch really takes, before scatter and neighbours."""
        group, chosen = dispatch.requests[0].group, dispatch.offer
        windows = tuple(request.windows for request in dispatch.requests)
        key = (group, windows, chosen.option.permille, dispatch.cores)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = next(
                offer.option
                for offer in self._true[group].offers(windows, dispatch.cores)
                if offer.requests == chosen.requests
                and offer.option.permille == chosen.option.permille
                and offer.option.cores == dispatch.cores
            )
        return found

    def _end_s(self, now_s: float, work_s: float) -> float:
        """When so much work is done that begins now, a neighbour's stretches included."""
        steps = self._trace.slowdowns
        i = bisect_right(self._stolen, now_s) - 1
        while True:
            factor = steps[i][1]
            until_s = self._stolen[i + 1] if i + 1 < len(steps) else math.inf
            if now_s + work_s * factor <= until_s:
                return now_s + work_s * factor
            work_s -= (until_s - now_s) / factor
            now_s, i = until_s, i + 1

    def _finish(self, dispatch: Dispatch, now_s: float, latency_s: float, energy_j: float) -> None:
        self._scheduler.finished(dispatch, latency_s=latency_s, energy_j=energy_j, now_s=now_s)
        accuracy = dispatch.offer.accuracy
        run = self._run
        for request in dispatch.requests:
            run.fates[request.id] = Fate.IN_TIME if now_s <= request.deadline_s else Fate.LATE
            run.accuracy[request.id] = accuracy
            run.latency_s[request.id] = now_s - request.received_s


class Seconds:
    """Active energy over time, in bins as long as the meter's period.

    Args:
        duration_s: Of the trace; what is burnt later counts too.
    """

    def __init__(self, duration_s: float) -> None:
        self._bins = [0.0] * (math.ceil(duration_s / METER_S) + 8)

    def burn(self, start_s: float, end_s: float, energy_j: float) -> None:
        """Spread joules evenly over a stretch of time."""
        first, last = int(start_s / METER_S), int(end_s / METER_S)
        while last >= len(self._bins):
            self._bins.append(0.0)
        if first == last:
            self._bins[first] += energy_j
            return
        power_w = energy_j / (end_s - start_s)
        for i in range(first, last + 1):
            overlap_s = min(end_s, (i + 1) * METER_S) - max(start_s, i * METER_S)
            self._bins[i] += power_w * overlap_s

    def between(self, start_s: float, end_s: float) -> float:
        """Joules between two readings of the meter."""
        first, last = round(start_s / METER_S), round(end_s / METER_S)
        return sum(self._bins[first:last])

    @property
    def total_j(self) -> float:
        """All joules."""
        return sum(self._bins)

    @property
    def energy_j(self) -> list[float]:
        """Joules of each whole second."""
        each = round(1 / METER_S)
        return [sum(self._bins[i : i + each]) for i in range(0, len(self._bins) - each + 1, each)]
