"""What became of a played scenario, as figures and series: all that its page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loadtests.outcome import Outcome
from loadtests.settling import mean_power_w
from loadtests.trial import Trial

_SERVED, _SHED, _LATE = 200, 429, 504
_QUANTILES = np.concatenate([np.linspace(0, 0.9, 91), np.linspace(0.91, 1, 46)])
_MOST_BINS = 60


def bin_seconds(duration_s: float) -> float:
    """Width of the bins of a series: half a second, or more where a run is long."""
    return max(0.5, duration_s / _MOST_BINS)


def fate(outcome: Outcome) -> str:
    """What became of a request, in one word; an answer is named by its variant's ratio."""
    if outcome.status == _SERVED:
        return outcome.variant[-3:]
    return {_SHED: "refused", _LATE: "dropped"}.get(outcome.status, "failed")


def mix(outcomes: Sequence[Outcome], duration_s: float) -> dict[str, list[int]]:
    """Count requests by their fate in every bin in which they were due."""
    width_s = bin_seconds(duration_s)
    bins = max(int(np.ceil(duration_s / width_s)), 1)
    counted: dict[str, list[int]] = {}
    for outcome in outcomes:
        row = counted.setdefault(fate(outcome), [0] * bins)
        row[min(int(outcome.scheduled_s / width_s), bins - 1)] += 1
    return dict(sorted(counted.items()))


def in_time(outcomes: Sequence[Outcome], duration_s: float) -> list[float | None]:
    """Share of the requests due in every bin that was in time; None where none was due."""
    width_s = bin_seconds(duration_s)
    bins = max(int(np.ceil(duration_s / width_s)), 1)
    due: list[list[bool]] = [[] for _ in range(bins)]
    for outcome in outcomes:
        due[min(int(outcome.scheduled_s / width_s), bins - 1)].append(outcome.budget_met)
    return [float(np.mean(met)) if met else None for met in due]


def distribution(latencies_s: Sequence[float], sent: int) -> list[tuple[float, float]]:
    """Points (latency, share of all requests that were sent and had it by then)."""
    if not latencies_s:
        return []
    share = len(latencies_s) / sent
    points = np.quantile(latencies_s, _QUANTILES)
    return [(round(float(s), 6), float(share * q)) for s, q in zip(points, _QUANTILES, strict=True)]


def describe(trial: Trial) -> dict[str, Any]:
    """Everything that a page shows of a trial, as plain data."""
    outcomes, duration_s = trial.volley.outcomes, trial.trace.duration_s
    answered = [o for o in outcomes if o.status == _SERVED and o.latency_s is not None]
    refused = [o.latency_s for o in outcomes if o.status == _SHED and o.latency_s is not None]
    return {
        "duration_s": duration_s,
        "deadline_s": trial.trace.deadline_s,
        "bin_s": bin_seconds(duration_s),
        "mix": mix(outcomes, duration_s),
        "in_time": in_time(outcomes, duration_s),
        "client_latency": distribution([o.latency_s or 0.0 for o in answered], len(outcomes)),
        "server_latency": distribution([o.stages_s["total"] for o in answered], len(outcomes)),
        "refusal_latency": distribution(refused, len(outcomes)),
        "power_w": power(trial),
        "idle_w": trial.idle_power_w,
        "caps": list(trial.caps),
        "sensors": sensors(trial),
        "models": by_model(trial),
        "errors": dict(Counter(o.error for o in outcomes if o.error).most_common(12)),
    }


def power(trial: Trial) -> list[float]:
    """Mean power of the node in every bin that the meter's readings cover."""
    width_s = bin_seconds(trial.trace.duration_s)
    last_s = trial.power[-1].at_s if trial.power else 0.0
    bins = int(min(last_s, trial.trace.duration_s) / width_s)
    return [
        round(mean_power_w(trial.power, i * width_s, (i + 1) * width_s), 4) for i in range(bins)
    ]


def sensors(trial: Trial) -> list[float | None]:
    """Mean number of sensors in the requests due in every bin."""
    width_s = bin_seconds(trial.trace.duration_s)
    bins = max(int(np.ceil(trial.trace.duration_s / width_s)), 1)
    found: list[list[int]] = [[] for _ in range(bins)]
    for arrival in trial.trace.arrivals:
        found[min(int(arrival.at_s / width_s), bins - 1)].append(arrival.presence_bits.bit_count())
    return [float(np.mean(counts)) if counts else None for counts in found]


def by_model(trial: Trial) -> dict[str, Mapping[str, float]]:
    """Requests sent to each model, and the share in time; empty where there is only one."""
    names = sorted({a.model for a in trial.trace.arrivals})
    if len(names) < 2:
        return {}
    found: dict[str, Mapping[str, float]] = {}
    pairs = list(zip(trial.trace.arrivals, trial.volley.outcomes, strict=True))
    for name in names:
        met = [o.budget_met for a, o in pairs if a.model == name]
        found[name] = {"sent": len(met), "in_time": float(np.mean(met))}
    return found
