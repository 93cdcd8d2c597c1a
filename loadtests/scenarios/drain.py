"""Is anything lost when a server that is under load is told to end?"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

from loadtests.bench import Bench, Demand
from loadtests.client import Target, replay
from loadtests.messages import budget_headers, make_volley
from loadtests.outcome import NO_STATUS, Outcome
from sentryfuse.bench.record import Record

RECORD = "loadtest-drain"
_LEAD_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What became of the requests of one server that was told to end in their midst."""

    outcomes: tuple[Outcome, ...]
    exit_status: int
    signalled_s: float
    """After the start of the load."""
    ended_s: float
    """After the signal."""

    @property
    def refused(self) -> int:
        """Requests that were never sent: nobody listened any more."""
        return sum(o.sent_s is None for o in self.outcomes)

    @property
    def lost(self) -> tuple[Outcome, ...]:
        """Requests that were sent, on a connection that was made, and got no whole answer."""
        return tuple(o for o in self.outcomes if o.status == NO_STATUS and o.sent_s is not None)

    @property
    def answered_after(self) -> int:
        """Answers to requests that were sent after the signal."""
        return sum(
            o.status != NO_STATUS and o.sent_s is not None and o.sent_s > self.signalled_s
            for o in self.outcomes
        )


def run(
    bench: Bench,
    *,
    rounds: int = 10,
    seconds: float = 4.0,
    drain_s: float = 0.0,
    rate_hz: float | None = None,
    load: float = 0.7,
    deadline_s: float = 0.5,
    capacity_seconds: float = 6.0,
    seed: int = 0,
) -> Record:
    """Send SIGTERM half-way through a trace, with one server after the other.

    Args:
        bench: Where.
        rounds: Servers.
        seconds: Length of each trace.
        drain_s: How long a server listens after the signal. None at all is the hardest: requests
            keep coming at the very moment at which it stops to listen.
        rate_hz: Requests per second; None for a part of what the smallest variant can carry.
        load: That part.
        deadline_s: Latency budget; a request that misses it is late, not lost.
        capacity_seconds: How long the capacity is measured.
        seed: Of the first trace.
    """
    with bench.screen.progress() as report:
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
        )
        endings = []
        for number in range(rounds):
            report("endings", number, rounds, str(demand))
            endings.append(
                _end_under_load(bench, demand, seconds=seconds, drain_s=drain_s, seed=seed + number)
            )
        report("endings", rounds, rounds)
    record = bench.record(
        RECORD,
        "Is any request lost that a server let in before it was told to end, under load?",
        demand,
        rounds=rounds,
        seconds=seconds,
        drain_s=drain_s,
    )
    lost = [o for ending in endings for o in ending.lost]
    sent = sum(len(e.outcomes) for e in endings)
    refused = sum(e.refused for e in endings)
    slowest_s = max(e.ended_s for e in endings)
    record.add_figure(
        "drain_lost",
        float(len(lost)),
        "1",
        {
            "endings": rounds,
            "sent": sent,
            "answered_after_signal": sum(e.answered_after for e in endings),
            "refused": refused,
            "longest_end_s": slowest_s,
            "bad_exits": sum(e.exit_status != 0 for e in endings),
        },
    )
    record.add("lost", [o.to_json() for o in lost])
    record.add("endings", [_summary(e) for e in endings])
    bench.screen.facts(
        {
            "sent": f"{sent} in {rounds} endings at {demand}",
            "lost": str(len(lost)),
            "refused, nobody listened": str(refused),
            "slowest end": f"{slowest_s:.2f} s",
        }
    )
    return record


def _end_under_load(
    bench: Bench, demand: Demand, *, seconds: float, drain_s: float, seed: int
) -> Ending:
    trace = bench.trace("poisson", demand, seconds=seconds, seed=seed)
    headers = budget_headers(latency_s=demand.deadline_s, strict=False)
    messages, schedule = make_volley(trace.arrivals, bench.bundle, headers)
    with bench.server(drain_s=drain_s, warm_all=False) as server:
        start_s = time.monotonic() + _LEAD_S
        target = Target(host=server.host, port=server.port)
        coming = bench.submit(replay, target, messages, schedule, start_s)
        time.sleep(max(start_s + seconds / 2 - time.monotonic(), 0.0))
        signalled_s = time.monotonic()
        told = threading.Thread(target=server.stop)
        told.start()
        volley = coming.result()
        told.join()
        exit_status, ended_s = server.exit_status(), server.ended_s - signalled_s
    return Ending(
        outcomes=volley.outcomes,
        exit_status=exit_status,
        signalled_s=signalled_s - volley.began_s,
        ended_s=ended_s,
    )


def _summary(ending: Ending) -> dict[str, object]:
    return {
        "sent": len(ending.outcomes),
        "statuses": dict(sorted(Counter(str(o.status) for o in ending.outcomes).items())),
        "answered_after": ending.answered_after,
        "refused": ending.refused,
        "lost": len(ending.lost),
        "exit_status": ending.exit_status,
        "ended_s": round(ending.ended_s, 4),
    }
