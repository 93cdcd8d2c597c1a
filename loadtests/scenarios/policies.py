"""Policies side by side on the real server: the same traces, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from loadtests.bench import Bench
from loadtests.contenders import OURS
from loadtests.trial import Trial, run_trial
from sentryfuse.bench.record import Record

RECORD = "loadtest-policies"
POLICIES = (OURS, "slackfit", "fixed-0", "fixed-900")
TRACES = ("poisson", "bursts-8", "dropout", "neighbour")
_COLUMNS = (
    *("trace", "policy", "attainment", "accuracy", "effective", "mJ/answer"),
    *("p50 ms", "p99 ms", "late", "shed", "dropped"),
)


def run(
    bench: Bench,
    *,
    policies: Sequence[str] = POLICIES,
    traces: Sequence[str] = TRACES,
    seconds: float = 10.0,
    rounds: int = 2,
    rate_hz: float | None = None,
    load: float = 0.75,
    windows: int = 4,
    deadline_s: float = 0.05,
    capacity_seconds: float = 6.0,
    warm_seconds: float = 1.0,
) -> Record:
    """Keep one server for each policy and let them take turns on every trace.

    Every variant is in memory from the start, so that only the policies differ.

    Args:
        bench: Where.
        policies: Names of those compared.
        traces: Names of the traces.
        seconds: Length of a trace; each policy serves ``rounds`` of them, of different seeds.
        rounds: Turns of every policy on every trace.
        rate_hz: Mean requests per second; None for a part of what the smallest variant carries.
        load: That part.
        windows: In each request. With one, the event loop's reading of JSON is what limits the
            service, and all policies look alike; with some, it is the inference that they choose.
        deadline_s: Latency budget; requests are strict.
        capacity_seconds: How long the capacity is measured.
        warm_seconds: Load before each trial, not counted.
    """
    trials: list[Trial] = []
    turns = [(seed, trace) for seed in range(rounds) for trace in traces]
    with bench.screen.progress() as report, ExitStack() as servers:
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
            windows=windows,
        )
        running = {name: servers.enter_context(bench.server(name)) for name in policies}

        def serve(policy: str, name: str, length_s: float, seed: int) -> Trial:
            trace = bench.trace(name, demand, seconds=length_s, seed=seed)
            return run_trial(running[policy], bench.submit, trace, bench.bundle, policy=policy)

        total = len(turns) * len(policies)
        for turn, (seed, name) in enumerate(turns):
            # Whoever goes first has the quieter caches: everyone does once.
            order = [policies[(turn + i) % len(policies)] for i in range(len(policies))]
            for policy in order:
                report("trials", len(trials), total, f"{name}, {policy}")
                if warm_seconds:
                    serve(policy, "poisson", warm_seconds, seed + rounds)
                trials.append(serve(policy, name, seconds, seed))
        report("trials", total, total)
    record = bench.record(
        RECORD,
        "Which policy serves the same real load best, client and HTTP on the same cores?",
        demand,
        seconds=seconds,
        rounds=rounds,
        policies=list(policies),
    )
    rows = [
        _row([t for t in trials if (t.trace.name, t.policy) == (n, p)])
        for n in traces
        for p in policies
    ]
    record.add("table", rows)
    record.add("trials", [t.to_json() for t in trials])
    _add_figures(record, rows)
    bench.screen.table(_COLUMNS, [_cells(row) for row in rows])
    return record


def _row(trials: Sequence[Trial]) -> dict[str, Any]:
    """Pool the rounds of one policy on one trace: counts are added, quantiles averaged."""
    scores = [t.score for t in trials]
    sent = sum(s.sent for s in scores)
    in_time = sum(s.in_time for s in scores)
    gained = sum(s.effective_accuracy * s.sent for s in scores)
    return {
        "trace": trials[0].trace.name,
        "policy": trials[0].policy,
        "sent": sent,
        "attainment": in_time / sent,
        "serving_accuracy": gained / max(in_time, 1),
        "effective_accuracy": gained / sent,
        "energy_j": float(np.mean([s.energy_j for s in scores])),
        "node_energy_j": sum(t.node_energy_j * t.score.in_time for t in trials) / max(in_time, 1),
        "latency_p50_s": float(np.mean([s.latency_p50_s for s in scores])),
        "latency_p99_s": float(np.mean([s.latency_p99_s for s in scores])),
        "late": sum(s.late for s in scores),
        "shed": sum(s.shed for s in scores),
        "dropped": sum(s.dropped for s in scores),
        "failed": sum(s.failed for s in scores),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["trace"],
        row["policy"],
        f"{row['attainment']:.4f}",
        f"{row['serving_accuracy']:.4f}",
        f"{row['effective_accuracy']:.4f}",
        f"{1e3 * row['node_energy_j']:.2f}",
        f"{1e3 * row['latency_p50_s']:.2f}",
        f"{1e3 * row['latency_p99_s']:.2f}",
        *(str(row[name]) for name in ("late", "shed", "dropped")),
    ]


def _add_figures(record: Record, rows: Sequence[dict[str, Any]]) -> None:
    """Ours, and by how much it is above the best of the others: mean over the traces."""

    def mean(policy: str) -> float:
        own = [row["effective_accuracy"] for row in rows if row["policy"] == policy]
        return float(np.mean(own))

    names = list(dict.fromkeys(row["policy"] for row in rows))
    means = {name: mean(name) for name in names}
    if OURS not in means:
        return
    record.add_figure("policy_effective_accuracy_real", means[OURS], "ratio", means)
    if others := [m for name, m in means.items() if name != OURS]:
        record.add_figure("policy_lead_real", means[OURS] - max(others), "ratio")
