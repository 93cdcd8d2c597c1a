"""Does a server stay as small and as sound as it was, whatever clients do to it for long?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from loadtests.bench import Bench
from loadtests.soaking import Reading, visited
from loadtests.visits import make_visits
from sentryfuse.bench.record import Record

RECORD = "loadtest-soak"
_WARM = 0.2
"""Part of the run that memory is given to come to rest. As many variants as may stay in memory
are there from the start: half an hour of visits would not ask for that many, and a server that
still fills its memory grows. Those nobody asks for make room for those that somebody does."""
_LEVEL = 0.1
"""Part of the run, after that and at its end, whose medians are compared."""


def run(
    bench: Bench,
    *,
    minutes: float = 30.0,
    visitors: int = 6,
    pause_s: float = 0.05,
    each: int = 60,
    seed: int = 0,
) -> Record:
    """Visit a server in every way for as long as that, probe and scrape it, and weigh it.

    Args:
        bench: Where.
        minutes: How long.
        visitors: At the same time.
        pause_s: Mean pause of each between two visits.
        each: Different visits of each kind.
        seed: Of everything that is left to chance.
    """
    visits = make_visits(bench.bundle, bench.model, each=each, seed=seed)
    with (
        bench.screen.progress() as report,
        bench.server(warm_all=True, max_variants=96) as server,
        visited(server, visits, visitors=visitors, pause_s=pause_s, seed=seed) as (ledger, sizes),
    ):
        began_s = time.monotonic()
        ends_s = began_s + 60 * minutes
        while (left_s := ends_s - time.monotonic()) > 0:
            done = sum(ledger.seen.values())
            report("soak", int(time.monotonic() - began_s), int(60 * minutes), f"{done} visits")
            time.sleep(min(left_s, 1.0))
        report("soak", int(60 * minutes), int(60 * minutes))
    first, last = levels(sizes)
    count = sum(ledger.seen.values())
    record = Record(
        RECORD,
        "Does the service stay as small as it was, and fail nothing, under half an hour of mixed "
        "load: two protocols, budgets, missing sensors, bad bodies, clients that hang up, probes "
        "and scrapes?",
        bundle=bench.bundle.digest,
        minutes=minutes,
        visitors=visitors,
        pause_s=pause_s,
        seed=seed,
        service=dict(bench.settings),
    )
    record.add_figure(
        "soak_rss_growth_ratio",
        last / first - 1,
        "ratio",
        {
            "first_bytes": first,
            "last_bytes": last,
            "most_bytes": max(r.resident_bytes for r in sizes),
        },
    )
    record.add_figure(
        "soak_failed", float(ledger.failed), "1", {"visits": count, "minutes": minutes}
    )
    seen: dict[str, dict[str, int]] = {}
    for (kind, status), times in sorted(ledger.seen.items()):
        seen.setdefault(kind, {})[str(status)] = times
    record.add("visits", seen)
    record.add("slowest_s", {k: round(v, 4) for k, v in sorted(ledger.slowest_s.items())})
    record.add("failures", [asdict(f) | {"at_s": f.at_s - began_s} for f in ledger.failures])
    record.add("resident", [(round(r.at_s - began_s, 1), r.resident_bytes) for r in sizes])
    bench.screen.facts(
        {
            "visits": f"{count} in {minutes:g} minutes",
            "failed": str(ledger.failed),
            "memory": f"{1e-6 * first:.1f} MB after warming up, {1e-6 * last:.1f} MB in the end",
            "slowest probe": f"{1e3 * ledger.slowest_s.get('probe', 0.0):.0f} ms",
        }
    )
    return record


def levels(readings: Sequence[Reading]) -> tuple[float, float]:
    """Return median sizes in bytes: once the server has come to rest, and in the end.

    Raises:
        ValueError: There are too few readings to tell.
    """
    sizes = [reading.resident_bytes for reading in readings]
    span = int(_LEVEL * len(sizes))
    if not span:
        raise ValueError(f"{len(sizes)} readings are too few; run for longer")
    begin = int(_WARM * len(sizes))
    return float(np.median(sizes[begin : begin + span])), float(np.median(sizes[-span:]))
