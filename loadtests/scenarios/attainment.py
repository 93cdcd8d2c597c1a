"""How many requests are in time, at a load that the smallest variant can carry?"""

from __future__ import annotations

from loadtests.bench import Bench
from loadtests.contenders import OURS
from loadtests.score import by_second
from loadtests.trial import Trial, run_trial
from sentryfuse.bench.record import Record

RECORD = "loadtest-attainment"


def run(
    bench: Bench,
    *,
    seconds: float = 120.0,
    rate_hz: float | None = None,
    load: float = 0.5,
    deadline_s: float = 0.025,
    capacity_seconds: float = 6.0,
    warm_seconds: float = 3.0,
    seed: int = 0,
) -> Record:
    """Measure what the smallest variant can carry, then serve a part of it with our policy.

    Args:
        bench: Where.
        seconds: Length of the trace.
        rate_hz: Requests per second; None for a part of the capacity.
        load: That part.
        deadline_s: Latency budget; requests are strict.
        capacity_seconds: How long the capacity is measured.
        warm_seconds: Load before the trace, not counted.
        seed: Of the trace.
    """
    with bench.screen.progress() as report:
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
        )

        def serve(length_s: float, which: int) -> Trial:
            trace = bench.trace("poisson", demand, seconds=length_s, seed=which)
            return run_trial(server, bench.submit, trace, bench.bundle, policy=OURS)

        report("poisson", 0, 1, f"{demand} for {seconds:g} s")
        with bench.server() as server:
            if warm_seconds:
                serve(warm_seconds, seed + 1)
            trial = serve(seconds, seed)
        report("poisson", 1, 1)
    record = bench.record(
        RECORD,
        "How many strict requests does the real server answer within their latency budget, at a "
        "load that the smallest variant can carry, with client and HTTP on the same cores?",
        demand,
        seconds=seconds,
    )
    score = trial.score
    share = by_second(trial.volley.outcomes, seconds)
    worst = min(m / n for m, n in zip(share["in_time"], share["sent"], strict=True) if n)
    record.add_figure(
        "attainment_real",
        score.attainment,
        "ratio",
        {
            "n": score.sent,
            "missed": score.sent - score.in_time,
            "worst_second": worst,
            "client_side": score.attainment_client,
        },
    )
    record.add("trial", trial.to_json())
    record.add("missed", [o.to_json() for o in trial.volley.outcomes if not o.budget_met])
    bench.screen.facts(
        {
            "sent": f"{score.sent} at {demand}",
            "in time": f"{score.attainment:.4f}",
            "by the client's clock": f"{score.attainment_client:.4f}",
            "late, shed, dropped, failed": f"{score.late}, {score.shed}, {score.dropped}, "
            f"{score.failed}",
            "accuracy": f"{score.serving_accuracy:.4f}",
            "p50, p99": f"{1e3 * score.latency_p50_s:.2f}, {1e3 * score.latency_p99_s:.2f} ms",
        }
    )
    return record
