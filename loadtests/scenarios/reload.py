"""Is anything lost while models are loaded anew under a server that is under load?"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from loadtests.bench import Bench
from loadtests.client import Target, replay
from loadtests.messages import budget_headers, make_volley
from loadtests.outcome import Outcome
from loadtests.server import Server, ServerError
from loadtests.soaking import resident_bytes
from sentryfuse.bench.record import Record
from sentryfuse.bundle import write_bundle

RECORD = "loadtest-reload"
_LEAD_S = 0.3
_LOAD_S = 120.0
_SERVED, _SHED = 200, 429
_EVERY_BAD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """One version put into the directory and loaded; times count from the start of the load."""

    version: str
    whole: bool
    """Whether its files were; a version that is damaged must be refused."""
    taken: bool
    """Whether the server serves it."""
    began_s: float
    ended_s: float
    resident_bytes: int
    """Of the server, afterwards."""


def run(
    bench: Bench,
    *,
    seconds: float = 120.0,
    quiet_seconds: float = 15.0,
    pause_s: float = 0.5,
    rate_hz: float | None = None,
    load: float = 0.5,
    deadline_s: float = 0.5,
    capacity_seconds: float = 6.0,
    seed: int = 0,
) -> Record:
    """Load one new version after the other, every third of them damaged, while requests come.

    Args:
        bench: Where.
        seconds: Length of the trace.
        quiet_seconds: Of it, before the first is loaded: to compare with.
        pause_s: Between two.
        rate_hz: Requests per second; None for a part of what the smallest variant can carry.
        load: That part.
        deadline_s: Latency budget; a request that misses it is late, not lost.
        capacity_seconds: How long the capacity is measured.
        seed: Of the trace.

    Raises:
        ServerError: A whole version was refused, or a damaged one was not.
    """
    with bench.screen.progress() as report, tempfile.TemporaryDirectory() as folder:
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
        )
        trace = bench.trace("poisson", demand, seconds=seconds, seed=seed)
        headers = budget_headers(latency_s=deadline_s, strict=False)
        messages, schedule = make_volley(trace.arrivals, bench.bundle, headers)
        write_bundle(bench.bundle, Path(folder) / bench.model / "1")
        with bench.server(models=folder, warm_all=False) as server:
            start_s = time.monotonic() + _LEAD_S
            target = Target(host=server.host, port=server.port)
            coming = bench.submit(replay, target, messages, schedule, start_s)
            reloads: list[Reload] = []
            next_s = start_s + quiet_seconds
            while next_s < start_s + seconds:
                time.sleep(max(next_s - time.monotonic(), 0.0))
                report("reloads", len(reloads), len(reloads) + 1, str(demand))
                reloads.append(_reload(bench, server, Path(folder), len(reloads), start_s))
                next_s = time.monotonic() + pause_s
            report("reloads", len(reloads), len(reloads))
            outcomes = coming.result().outcomes
    record = bench.record(
        RECORD,
        "Is any request lost while new versions of its model, some of them damaged, are loaded?",
        demand,
        seconds=seconds,
        quiet_seconds=quiet_seconds,
        pause_s=pause_s,
    )
    _add(bench, record, outcomes, reloads)
    return record


def _reload(bench: Bench, server: Server, folder: Path, number: int, start_s: float) -> Reload:
    """Put the next version beside those that are there, and have it loaded."""
    version, whole = str(number + 2), number % _EVERY_BAD != 1
    place = folder / bench.model / version
    training = {**bench.bundle.training, "reloaded": number}
    write_bundle(replace(bench.bundle, training=training), place)
    if not whole:
        weights = place / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
    began_s = time.monotonic()
    try:
        server.ask("POST", f"/v2/repository/models/{bench.model}/load", {}, timeout_s=_LOAD_S)
        taken = True
    except ServerError:
        taken = False
    ended_s = time.monotonic()
    if taken != whole:
        raise ServerError(f"version {version}: whole {whole}, but taken {taken}")
    return Reload(
        version=version,
        whole=whole,
        taken=taken,
        began_s=began_s - start_s,
        ended_s=ended_s - start_s,
        resident_bytes=resident_bytes(server.pid),
    )


def _add(
    bench: Bench, record: Record, outcomes: Sequence[Outcome], reloads: Sequence[Reload]
) -> None:
    lost = [o for o in outcomes if o.status not in (_SERVED, _SHED)]
    shed = sum(o.status == _SHED for o in outcomes)
    first_s = reloads[0].began_s
    before = [o for o in outcomes if o.scheduled_s < first_s]
    during = [o for o in outcomes if any(r.began_s <= o.scheduled_s < r.ended_s for r in reloads)]
    facts = {
        "n": len(outcomes),
        "reloads": sum(r.whole for r in reloads),
        "refused_bundles": sum(not r.whole for r in reloads),
        "shed": shed,
        "requests_during": len(during),
        "p99_before_s": _p99_s(before),
        "p99_during_s": _p99_s(during),
        "late_before": _late(before),
        "late_during": _late(during),
        "reload_s": float(np.median([r.ended_s - r.began_s for r in reloads if r.whole])),
        "resident_first_bytes": reloads[0].resident_bytes,
        "resident_last_bytes": reloads[-1].resident_bytes,
    }
    record.add_figure("reload_lost", float(len(lost)), "1", facts)
    record.add("lost", [o.to_json() for o in lost])
    record.add("reloads", [asdict(reload) for reload in reloads])
    record.add("statuses", dict(Counter(str(o.status) for o in outcomes)))
    bench.screen.facts(
        {
            "sent": f"{len(outcomes)}, {len(during)} of them during a reload",
            "lost, shed": f"{len(lost)}, {shed}",
            "reloads": f"{facts['reloads']}, and {facts['refused_bundles']} refused",
            "p99 before, during": f"{1e3 * _p99_s(before):.1f}, {1e3 * _p99_s(during):.1f} ms",
            "one reload": f"{facts['reload_s']:.2f} s",
        }
    )


def _p99_s(outcomes: Sequence[Outcome]) -> float:
    """Of the answers, as their callers felt it."""
    latencies = [o.latency_s for o in outcomes if o.status == _SERVED and o.latency_s is not None]
    return float(np.quantile(latencies, 0.99)) if latencies else 0.0


def _late(outcomes: Sequence[Outcome]) -> int:
    return sum(o.status == _SERVED and not o.budget_met for o in outcomes)
