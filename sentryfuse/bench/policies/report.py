"""The record of a study."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from sentryfuse.bench.policies.figures import DEFINITIONS, Figure, bound_by_trace, figures
from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.overhead import PlanCost
from sentryfuse.bench.policies.recovery import WINDOW, Recovery
from sentryfuse.bench.policies.study import Results, Study
from sentryfuse.bench.record import Record

NAME = "policies"
"""Name of the record."""


def write_record(
    study: Study,
    node: Node,
    results: Results,
    recoveries: tuple[Recovery, ...],
    cost: PlanCost,
) -> Record:
    """Put everything that was found into a record, ready to be saved."""
    record = Record(
        NAME,
        "How good is the scheduler beside the literature's, fixed variants and an oracle?",
        study=study.to_json(),
        bundle=node.profile.bundle_digest,
        host=node.profile.fingerprint,
        cores=node.cores,
        scatter=node.scatter,
        watts_per_core=node.watts_per_core,
        idle_power_w=node.idle_power_w,
        capacity_hz=node.capacity_hz(),
    )
    record.add("definitions", DEFINITIONS)
    record.add("runs", [score.to_json() for score in results.scores])
    record.add("oracle", bound_by_trace(results.bounds))
    record.add(
        "recovery",
        {
            f"profile {r.error:g} x truth": {
                "requests": r.requests,
                f"attainment of {WINDOW} from the n-th": list(r.attainment),
                "with the right profile": list(r.right),
            }
            for r in recoveries
        },
    )
    record.add_samples("plan_seconds", cost.request_s, "s")
    for name, figure in all_figures(results, recoveries, cost).items():
        record.add_figure(name, figure.value, figure.unit, figure.spread)
    return record


def all_figures(
    results: Results, recoveries: tuple[Recovery, ...], cost: PlanCost
) -> Mapping[str, Figure]:
    """Figures of the runs, of the recovery and of the scheduler's cost."""
    found = figures(results)
    if recoveries:
        found["profile_recovery_requests"] = Figure(
            max(r.requests for r in recoveries),
            "requests",
            {f"profile {r.error:g} x truth": r.requests for r in recoveries},
        )
    found["plan_seconds_p50"] = Figure(
        median(cost.request_s),
        "s",
        {
            "submit p50": median(cost.submit_s),
            "next and finished of a batch p50": median(cost.dispatch_s),
            "requests of a batch p50": median(cost.requests),
        },
    )
    return found
