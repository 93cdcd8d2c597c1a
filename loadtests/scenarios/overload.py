"""How much of its capacity is left to a server that is asked for ten times as much?"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.bench import Bench, Demand
from loadtests.client import Shot, Target, replay, saturate
from loadtests.messages import budget_headers, infer_message, request_body
from loadtests.outcome import Outcome
from loadtests.score import by_second, score, tally
from loadtests.server import Server
from loadtests.soaking import Reading, weighed
from sentryfuse.bench.record import Record

RECORD = "loadtest-overload"
_IN_FLIGHT = (8, 16, 32)
_SERVED, _SHED = 200, 429
_LEAD_S = 0.5
_AT_ONCE_S = 0.02
_MOST_CONNECTIONS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Comeback:
    """How often those were served who came back after a refusal."""

    refused: int
    told_s: float
    """Median of what they were told to wait."""
    waited_served: float
    """Part that was served of those who waited so long."""
    at_once_served: float
    """Part that was served of those who came back at once."""


def run(
    bench: Bench,
    *,
    seconds: float = 60.0,
    load: float = 10.0,
    deadline_s: float = 0.05,
    windows: int = 1,
    capacity_seconds: float = 6.0,
    bursts: int = 10,
    seed: int = 0,
) -> Record:
    """Find out what a server can answer in time, then ask ten times as much of it for a minute.

    Server and client get half of the cores each, or the client of an overload, which works ten
    times as hard as that of a capacity, would be taken for the server's weakness.

    Args:
        bench: Where.
        seconds: Length of the overload.
        load: Requests that come, over those that can be answered.
        deadline_s: Latency budget of every request; they are strict.
        windows: In each request.
        capacity_seconds: How long each way of measuring the capacity takes.
        bursts: Short ones afterwards, to see whether coming back when told is worth it.
        seed: Of the arrivals.
    """
    headers = budget_headers(latency_s=deadline_s, strict=True)
    body = request_body(bench.bundle, bench.bundle.spec.full_presence.bits, windows=windows)
    message = infer_message(body, headers)
    server_cores, client_cores = split_cores()
    bench.submit(os.sched_setaffinity, 0, client_cores).result()
    settings: dict[str, Any] = {
        "warm_all": False,
        "max_connections": 8192,
        "max_client_connections": 0,
    }
    with (
        bench.screen.progress() as report,
        bench.server(on_cores=server_cores, **settings) as server,
    ):
        report("capacity", 0, 1)
        capacities = _capacities(bench, server, message, deadline_s, capacity_seconds)
        capacity_hz = max(capacities.values())
        report("capacity", 1, 1, f"{capacity_hz:.0f} answers in time/s")
        demand = Demand(
            rate_hz=load * capacity_hz,
            deadline_s=deadline_s,
            capacity_hz=capacity_hz,
            windows=windows,
        )
        report("overload", 0, 1, f"{demand} for {seconds:g} s")
        server_cpu_s = server.cpu_s()
        with weighed(server.pid) as sizes:
            outcomes, client_cpu_s = _overload(bench, server, message, demand, seconds, seed)
            server_cpu_s = server.cpu_s() - server_cpu_s
        report("overload", 1, 1)
        comeback = _comeback(bench, server, message, capacity_hz, bursts)
    record = bench.record(
        RECORD,
        "How many requests are still answered in time when ten times as many come as can be, "
        "and are the others told so at once, and truly when to come back?",
        demand,
        seconds=seconds,
        server_cores=sorted(server_cores),
        client_cores=sorted(client_cores),
        bursts=bursts,
        seed=seed,
    )
    _fill(record, outcomes, demand, seconds, sizes, comeback)
    record.add("capacities_hz", {str(k): round(v, 1) for k, v in capacities.items()})
    record.add("server_cpu_s", server_cpu_s)
    record.add("client_cpu_s_per_request", client_cpu_s / max(len(outcomes), 1))
    _show(bench, record, outcomes, demand)
    return record


def split_cores() -> tuple[set[int], set[int]]:
    """Half of the cores for the server, half for the client; a single one is shared."""
    cores = sorted(os.sched_getaffinity(0))
    half = (len(cores) + 1) // 2
    return set(cores[:half]), set(cores[half:] or cores)


def _in_time(outcomes: Sequence[Outcome], deadline_s: float) -> int:
    """Answers within the budget by the client's clock, from the time that each was due."""
    answered = [o.latency_s for o in outcomes if o.status == _SERVED]
    return sum(latency_s is not None and latency_s <= deadline_s for latency_s in answered)


def _capacities(
    bench: Bench, server: Server, message: bytes, deadline_s: float, seconds: float
) -> dict[int, float]:
    """Answers in time per second, by how many requests are kept under way."""
    target = Target(host=server.host, port=server.port)
    found = {}
    for in_flight in _IN_FLIGHT:
        volley = bench.submit(
            saturate, target, (message,), in_flight=in_flight, seconds=seconds
        ).result()
        found[in_flight] = _in_time(volley.outcomes, deadline_s) / volley.duration_s
    return found


def _overload(
    bench: Bench, server: Server, message: bytes, demand: Demand, seconds: float, seed: int
) -> tuple[Sequence[Outcome], float]:
    """Send many more requests than can be answered, at random times, whatever comes back."""
    generator = np.random.default_rng(seed)
    count = int(demand.rate_hz * seconds)
    times = np.sort(generator.uniform(0.0, seconds, count))
    target = Target(
        host=server.host, port=server.port, connections=64, most_connections=_MOST_CONNECTIONS
    )
    volley = bench.submit(
        replay, target, (message,), [Shot(float(t), 0) for t in times], time.monotonic() + _LEAD_S
    ).result()
    return volley.outcomes, volley.cpu_s


def _comeback(
    bench: Bench, server: Server, message: bytes, capacity_hz: float, bursts: int
) -> Comeback:
    """Send bursts of half a second's work; refused ones come back when told, or at once."""
    size = max(int(0.5 * capacity_hz), 8)
    target = Target(host=server.host, port=server.port, connections=size, most_connections=4096)
    told_s: list[float] = []
    served: dict[bool, list[bool]] = {True: [], False: []}
    for number in range(2 * bursts):
        waits = number % 2 == 0
        burst = bench.submit(replay, target, (message,), [Shot(0.0, 0)] * size, 0.0).result()
        shed = [o for o in burst.outcomes if o.status == _SHED and o.retry_after_s is not None]
        told_s += [o.retry_after_s or 0.0 for o in shed]
        if shed:
            again = [
                Shot(max((o.retry_after_s or 0.0) if waits else _AT_ONCE_S, 0.0), 0) for o in shed
            ]
            again.sort(key=lambda shot: shot.at_s)
            came = bench.submit(replay, target, (message,), again, 0.0).result()
            served[waits] += [o.budget_met for o in came.outcomes]
        time.sleep(0.5)
    return Comeback(
        refused=len(told_s),
        told_s=float(np.median(told_s)) if told_s else 0.0,
        waited_served=float(np.mean(served[True])) if served[True] else 0.0,
        at_once_served=float(np.mean(served[False])) if served[False] else 0.0,
    )


def _fill(
    record: Record,
    outcomes: Sequence[Outcome],
    demand: Demand,
    seconds: float,
    sizes: Sequence[Reading],
    comeback: Comeback,
) -> None:
    found = score(outcomes, demand.deadline_s)
    assert demand.capacity_hz is not None
    goodput_hz = _in_time(outcomes, demand.deadline_s) / seconds
    series = by_second(outcomes, seconds)
    refusals_s = [o.latency_s for o in outcomes if o.status == _SHED and o.latency_s is not None]
    without = sum(o.status == _SHED and o.retry_after_s is None for o in outcomes)
    growth = sizes[-1].resident_bytes / sizes[0].resident_bytes - 1 if sizes else 0.0
    record.add_figure(
        "overload_goodput_ratio",
        goodput_hz / demand.capacity_hz,
        "ratio",
        {
            "goodput_hz": goodput_hz,
            "capacity_hz": demand.capacity_hz,
            "goodput_by_receipts_hz": found.in_time / seconds,
            "sent": found.sent,
            "shed": found.shed,
            "late": found.late,
            "dropped": found.dropped,
            "failed": found.failed,
            "worst_second_hz": float(min(series["in_time"])),
            "refusal_p50_s": float(np.median(refusals_s)) if refusals_s else 0.0,
            "shed_without_retry_after": without,
            "rss_growth_ratio": growth,
            "came_back_when_told_served": comeback.waited_served,
            "came_back_at_once_served": comeback.at_once_served,
            "told_to_wait_p50_s": comeback.told_s,
        },
    )
    record.add("score", found.to_json())
    record.add("by_second", series)
    record.add("tally", tally(outcomes))
    record.add("statuses", dict(Counter(str(o.status) for o in outcomes)))
    record.add("resident", [r.resident_bytes for r in sizes])


def _show(bench: Bench, record: Record, outcomes: Sequence[Outcome], demand: Demand) -> None:
    facts = record.figures["overload_goodput_ratio"]["spread"]
    bench.screen.facts(
        {
            "capacity": f"{demand.capacity_hz:.0f} answers in time/s",
            "sent": f"{len(outcomes)} at {demand.rate_hz:.0f}/s",
            "in time": f"{facts['goodput_hz']:.0f}/s",
            "shed, dropped, late, failed": f"{facts['shed']}, {facts['dropped']}, "
            f"{facts['late']}, {facts['failed']}",
            "served on coming back": f"{facts['came_back_when_told_served']:.2f} when told, "
            f"{facts['came_back_at_once_served']:.2f} at once",
            "memory": f"{100 * facts['rss_growth_ratio']:+.1f} %",
        }
    )
