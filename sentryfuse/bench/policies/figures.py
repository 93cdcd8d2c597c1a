"""The figures that are quoted, from scores; each definition is also what the record says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sentryfuse.bench.policies.rivals import OURS
from sentryfuse.bench.policies.score import Score
from sentryfuse.bench.policies.study import Results

SAME_ATTAINMENT = 0.001
"""Attainments that differ by no more count as equal."""

DEFINITIONS = {
    "policy_effective_accuracy": (
        "Effective accuracy of ours (expected accuracy of an answer in time, 0 for a request "
        "without one), mean over seeds, then over traces."
    ),
    "policy_lead": (
        "policy_effective_accuracy less that of the best other policy except the oracle."
    ),
    "policy_over_oracle": "policy_effective_accuracy over the same mean of the oracle's bound.",
    "policy_points_over_fixed": (
        "Mean serving accuracy of ours, less that of the most accurate fixed variant whose "
        "attainment, all traces and seeds pooled, is at least ours less 0.1 point (the one of "
        "highest attainment if there is none), in points."
    ),
    "policy_miss_ratio_over_fixed": (
        "Requests not answered in time by the fixed variant that misses fewest among those of at "
        "least our mean serving accuracy (the most accurate one if there is none), all traces "
        "and seeds pooled, over ours."
    ),
    "attainment_simulated": (
        "Attainment of ours on the poisson trace, at half of what the smallest variant carries "
        "one request at a time, all seeds pooled."
    ),
    "profile_recovery_requests": (
        "Requests until attainment of ours is back within 1 point of what it is with the right "
        "profile and stays there, worse of a profile of 1.5 and of 0.5 times the truth; "
        "attainment over 50 requests and many seeds."
    ),
    "simulated_effective_accuracy_*": "As policy_effective_accuracy, of that policy.",
    "simulated_attainment_*": "Answers in time over all requests, all traces and seeds pooled.",
    "simulated_serving_accuracy_*": "Mean expected accuracy of its answers in time, pooled.",
    "simulated_request_energy_joules_*": "Active energy of the node over answers in time, pooled.",
    "simulated_cap_over_ratio_*": (
        "Seconds whose mean power exceeds the cap + 5 % over all seconds with a cap."
    ),
    "plan_seconds_p50": (
        "Median time of submit, next and finished for each request while 1,000 wait, on the "
        "machine that wrote the record."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One policy over all traces and seeds, every request alike."""

    policy: str
    requests: int
    misses: int
    serving_accuracy: float
    energy_j: float
    """Active energy of the node."""
    cap_seconds: int
    cap_over_seconds: int

    @property
    def request_energy_j(self) -> float:
        """Active energy per answer in time; 0 if there are none."""
        in_time = self.requests - self.misses
        return self.energy_j / in_time if in_time else 0.0

    @property
    def attainment(self) -> float:
        """Answers in time over all requests."""
        return 1 - self.misses / self.requests


def pool(policy: str, scores: Iterable[Score]) -> Pooled:
    """Add up the runs of a policy."""
    own = [s for s in scores if s.policy == policy]
    in_time = sum(s.in_time for s in own)
    requests = sum(s.requests for s in own)
    accuracy = sum(s.serving_accuracy * s.in_time for s in own)
    return Pooled(
        policy=policy,
        requests=requests,
        misses=requests - in_time,
        serving_accuracy=accuracy / in_time if in_time else 0.0,
        energy_j=sum(s.request_energy_j * s.in_time for s in own),
        cap_seconds=sum(s.cap_seconds for s in own),
        cap_over_seconds=sum(s.cap_over_seconds for s in own),
    )


def effective_by_trace(scores: Sequence[Score], policy: str) -> dict[str, float]:
    """Effective accuracy of a policy on each trace, mean over seeds."""
    by_trace: dict[str, list[float]] = defaultdict(list)
    for s in scores:
        if s.policy == policy:
            by_trace[s.trace].append(s.effective_accuracy)
    return {trace: fmean(values) for trace, values in by_trace.items()}


def bound_by_trace(bounds: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """The oracle's bound on each trace, mean over seeds."""
    by_trace: dict[str, list[float]] = defaultdict(list)
    for (trace, _), value in bounds.items():
        by_trace[trace].append(value)
    return {trace: fmean(values) for trace, values in by_trace.items()}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, and what stands behind it."""

    value: float
    unit: str
    spread: Mapping[str, float]


def figures(results: Results) -> dict[str, Figure]:
    """Compare ours with the others; what was not run is left out."""
    scores = results.scores
    policies = list(dict.fromkeys(s.policy for s in scores))
    if OURS not in policies:
        return {}
    by_trace = {policy: effective_by_trace(scores, policy) for policy in policies}
    means = {policy: fmean(values.values()) for policy, values in by_trace.items()}
    bounds = bound_by_trace(results.bounds)
    shares = {t: by_trace[OURS][t] / bound for t, bound in bounds.items()}
    found = {
        "policy_effective_accuracy": Figure(means[OURS], "ratio", by_trace[OURS]),
        "policy_over_oracle": Figure(
            means[OURS] / fmean(bounds.values()), "ratio", {"worst trace": min(shares.values())}
        ),
    }
    found["simulated_effective_accuracy_oracle"] = Figure(fmean(bounds.values()), "ratio", bounds)
    for policy in policies:
        found |= _own(pool(policy, scores), by_trace[policy])
    others = {policy: mean for policy, mean in means.items() if policy != OURS}
    if others:
        found["policy_lead"] = Figure(means[OURS] - max(others.values()), "ratio", others)
    if fixed := [pool(policy, scores) for policy in policies if policy.startswith("fixed-")]:
        found |= _over_fixed(pool(OURS, scores), fixed)
    if poisson := [s for s in scores if s.policy == OURS and s.trace == "poisson"]:
        attained = pool(OURS, poisson)
        found["attainment_simulated"] = Figure(
            attained.attainment,
            "ratio",
            {"requests": attained.requests, "misses": attained.misses},
        )
    return found


def _own(pooled: Pooled, by_trace: Mapping[str, float]) -> dict[str, Figure]:
    """The row of one policy in a table."""
    name = pooled.policy.replace("-", "_")
    found = {
        f"simulated_effective_accuracy_{name}": Figure(fmean(by_trace.values()), "ratio", by_trace),
        f"simulated_attainment_{name}": Figure(
            pooled.attainment, "ratio", {"requests": pooled.requests, "misses": pooled.misses}
        ),
        f"simulated_serving_accuracy_{name}": Figure(pooled.serving_accuracy, "ratio", {}),
        f"simulated_request_energy_joules_{name}": Figure(pooled.request_energy_j, "J", {}),
    }
    if pooled.cap_seconds:
        found[f"simulated_cap_over_ratio_{name}"] = Figure(
            pooled.cap_over_seconds / pooled.cap_seconds, "ratio", {"seconds": pooled.cap_seconds}
        )
    return found


def _over_fixed(ours: Pooled, fixed: Sequence[Pooled]) -> dict[str, Figure]:
    best = max(p.attainment for p in fixed)
    enough = min(ours.attainment - SAME_ATTAINMENT, best)
    as_timely = max((p for p in fixed if p.attainment >= enough), key=lambda p: p.serving_accuracy)
    highest = max(p.serving_accuracy for p in fixed)
    accurate = min(ours.serving_accuracy, highest)
    as_accurate = min((p for p in fixed if p.serving_accuracy >= accurate), key=lambda p: p.misses)
    return {
        "policy_points_over_fixed": Figure(
            100 * (ours.serving_accuracy - as_timely.serving_accuracy),
            "points",
            {
                "ours serving accuracy": ours.serving_accuracy,
                "ours attainment": ours.attainment,
                f"{as_timely.policy} serving accuracy": as_timely.serving_accuracy,
                f"{as_timely.policy} attainment": as_timely.attainment,
            },
        ),
        "policy_miss_ratio_over_fixed": Figure(
            as_accurate.misses / max(ours.misses, 1),
            "ratio",
            {
                "ours misses": ours.misses,
                f"{as_accurate.policy} misses": as_accurate.misses,
                f"{as_accurate.policy} serving accuracy": as_accurate.serving_accuracy,
            },
        ),
    }
