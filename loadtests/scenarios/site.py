"""Do services that share a site's power keep its cap while they and Redis are killed?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from loadtests.bench import Bench
from loadtests.contenders import OURS
from loadtests.messages import budget_headers, infer_message, request_body
from loadtests.redis_server import RedisServer, redis_running
from loadtests.site_load import moving_load
from loadtests.site_nodes import Node, Weight, loans_seen, weighed
from sentryfuse.bench.record import Record

RECORD = "loadtest-site"
NODES = ("one", "two", "three")
WINDOW_S = 5.0
_GRID_S = 0.1
_FIRST_LOANS_S = 8.0
_PAUSED_S = 7.0
_GONE_S = 3.0
_WARM = {"warm_all": False, "warm_missing": 0, "max_variants": 96, "access_log": False}

Event = tuple[float, str, Callable[[], object]]


def run(
    bench: Bench,
    *,
    seconds: float = 120.0,
    kill_every_s: float = 10.0,
    watts_per_core: float = 5.0,
    idle_w: float = 1.0,
    share_cores: float = 0.4,
    pool_cores: float = 0.3,
    rate_hz: float | None = None,
    load: float = 0.4,
    deadline_s: float = 0.25,
    capacity_seconds: float = 6.0,
    seed: int = 0,
) -> Record:
    """Load three services so that they want more than the site has, and kill one after the other.

    Power is reckoned from outside: idle power of every node all the time, and CPU seconds of the
    services as the kernel counts them x watts per core, start-up included.

    Args:
        bench: Where.
        seconds: How long, from the time when all have had their first loans.
        kill_every_s: Time between two kills.
        watts_per_core: Active power of a busy core.
        idle_w: Idle power of a node.
        share_cores: What a node's guaranteed share is good for, in busy cores.
        pool_cores: What the site can lend, in busy cores.
        rate_hz: Requests per second at a busy node; None for a part of what one alone can carry.
        load: That part.
        deadline_s: Latency budget; requests are strict.
        capacity_seconds: How long that is measured.
        seed: Of the arrivals.
    """
    share_w = idle_w + share_cores * watts_per_core
    guaranteed_w = len(NODES) * share_w
    cap_w = guaranteed_w + pool_cores * watts_per_core
    with ExitStack() as stack:
        report = stack.enter_context(bench.screen.progress())
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="site-")))
        redis = stack.enter_context(redis_running(folder))
        settings = bench.chosen(
            **_WARM,
            redis_url=redis.url,
            meter="cpu-time",
            watts_per_core=watts_per_core,
            idle_power_w=idle_w,
            site_cap_w=cap_w,
            site_share_w=share_w,
            site_guaranteed_w=guaranteed_w,
        )
        nodes = [Node(name, OURS, {**settings, "site_node": name}) for name in NODES]
        for node in nodes:
            stack.callback(node.end)
            node.start()
        for node in nodes:
            assert node.server is not None
            node.server.wait_until_ready()
        body = request_body(bench.bundle, bench.bundle.spec.full_presence.bits)
        message = infer_message(body, budget_headers(latency_s=deadline_s, strict=True))
        fates = stack.enter_context(moving_load(nodes, message, rate_hz=demand.rate_hz, seed=seed))
        time.sleep(_FIRST_LOANS_S)
        began_s = time.monotonic()
        events = plan(nodes, redis, seconds=seconds, kill_every_s=kill_every_s)
        with weighed(nodes) as weights, loans_seen(nodes) as loans:
            for at_s, what, act in events:
                _wait_until(began_s + at_s)
                report("site", int(at_s), int(seconds), what)
                act()
            _wait_until(began_s + seconds)
    power_w = powers(weights, watts_per_core=watts_per_core, idle_w=idle_w)
    means_w = window_means(power_w.sum(axis=0))
    record = bench.record(
        RECORD,
        "Do three services keep their site's cap while one is killed every ten seconds?",
        demand,
        cap_w=cap_w,
        share_w=share_w,
        idle_w=idle_w,
        watts_per_core=watts_per_core,
        window_s=WINDOW_S,
    )
    lent_w = [sum(w or 0.0 for w in held) for _, held in loans]
    record.add_figure(
        "site_cap_over_ratio",
        float(means_w.max() / cap_w - 1),
        "ratio",
        {
            "windows": len(means_w),
            "over": int((means_w > cap_w).sum()),
            "mean": float(power_w.sum(axis=0).mean() / cap_w - 1),
            "kills": sum(node.kills for node in nodes),
            "mean_lent_w": float(np.mean(lent_w)),
            "most_lent_w": max(lent_w),
        },
    )
    record.add("events", [(at_s, what) for at_s, what, _ in events])
    record.add("grid_s", _GRID_S)
    record.add("power_w", [node.round(3).tolist() for node in power_w])
    record.add("window_means_w", means_w.round(3).tolist())
    record.add("loans", [(at_s - began_s, held) for at_s, held in loans])
    record.add("fates", dict(fates))
    return record


def plan(
    nodes: Sequence[Node], redis: RedisServer, *, seconds: float, kill_every_s: float
) -> list[Event]:
    """What befalls whom, and when: kills in turns, Redis paused once and killed once."""
    events: list[Event] = []
    for turn in range(int(seconds / kill_every_s)):
        node, at_s = nodes[turn % len(nodes)], (turn + 0.5) * kill_every_s
        events.append((at_s, f"{node.name} killed", node.kill))
        events.append((at_s + 0.5, f"{node.name} started", node.start))
    paused_s, killed_s = 0.3 * seconds, 0.65 * seconds
    events += [
        (paused_s, "Redis paused", redis.pause),
        (min(paused_s + _PAUSED_S, 0.6 * seconds), "Redis resumed", redis.resume),
        (killed_s, "Redis killed", redis.kill),
        (min(killed_s + _GONE_S, 0.9 * seconds), "Redis started", redis.start),
    ]
    return sorted(events, key=lambda event: event[0])


def powers(
    weights: Sequence[Weight], *, watts_per_core: float, idle_w: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Power of every node, ``[node, step]``, in steps of a tenth of a second."""
    at_s = np.array([w.at_s for w in weights])
    grid_s = np.arange(at_s[0], at_s[-1], _GRID_S)
    cpu_s = np.array([w.cpu_s for w in weights]).T
    taken_s = np.array([np.diff(np.interp(grid_s, at_s, node)) for node in cpu_s])
    return idle_w + watts_per_core * taken_s / _GRID_S


def window_means(
    power_w: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean power over every window of :data:`WINDOW_S`, one beginning with each step."""
    steps = min(round(WINDOW_S / _GRID_S), len(power_w))
    return np.convolve(power_w, np.full(steps, 1 / steps), mode="valid")


def _wait_until(at_s: float) -> None:
    time.sleep(max(at_s - time.monotonic(), 0.0))
