"""How well requests were served: figures of one run's outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loadtests.outcome import Outcome

_SERVED, _SHED, _LATE = 200, 429, 504


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Figures over every request that was sent; a request is in time if the server says so."""

    sent: int
    in_time: int
    late: int
    """Answered, but later than the budget."""
    shed: int
    """429, with ``Retry-After``."""
    dropped: int
    """504: the budget ran out while it waited."""
    failed: int
    """Anything else, no answer at all included."""
    attainment: float
    """In time over sent."""
    attainment_client: float
    """The same with the client's clock: first byte within the budget of the scheduled time."""
    serving_accuracy: float
    """Mean expected accuracy of the answers in time."""
    effective_accuracy: float
    """The same over all sent: what is not in time counts as wrong."""
    energy_j: float
    """Of one answer, mean of the receipts."""
    latency_p50_s: float
    """Of the answers, as the server accounts for them."""
    latency_p99_s: float
    client_p50_s: float
    """From the scheduled time to the first byte of the answer."""
    client_p99_s: float
    send_lag_p99_s: float
    """How much later than scheduled requests were sent."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for a record."""
        return asdict(self)


def score(outcomes: Sequence[Outcome], deadline_s: float) -> Score:
    """Add up outcomes.

    Args:
        outcomes: One for each request; at least one.
        deadline_s: Latency budget of each.
    """
    answered = [o for o in outcomes if o.status == _SERVED]
    in_time = [o for o in answered if o.budget_met]
    status = Counter(o.status for o in outcomes)
    gained = sum(o.expected_accuracy or 0.0 for o in in_time)
    latencies = [o.latency_s for o in answered if o.latency_s is not None]
    in_time_for_client = sum(latency_s <= deadline_s for latency_s in latencies)
    own_s = [o.stages_s["total"] for o in answered]
    return Score(
        sent=len(outcomes),
        in_time=len(in_time),
        late=len(answered) - len(in_time),
        shed=status[_SHED],
        dropped=status[_LATE],
        failed=len(outcomes) - status[_SERVED] - status[_SHED] - status[_LATE],
        attainment=len(in_time) / len(outcomes),
        attainment_client=in_time_for_client / len(outcomes),
        serving_accuracy=gained / max(len(in_time), 1),
        effective_accuracy=gained / len(outcomes),
        energy_j=_mean([o.energy_j for o in answered if o.energy_j is not None]),
        latency_p50_s=_quantile(own_s, 0.5),
        latency_p99_s=_quantile(own_s, 0.99),
        client_p50_s=_quantile(latencies, 0.5),
        client_p99_s=_quantile(latencies, 0.99),
        send_lag_p99_s=_quantile(
            [o.sent_s - o.scheduled_s for o in outcomes if o.sent_s is not None], 0.99
        ),
    )


def by_second(outcomes: Sequence[Outcome], duration_s: float) -> dict[str, list[float]]:
    """Count by the second in which requests were due: a record's series.

    Returns:
        Lists with one value for each second: requests sent, in time, shed or dropped, and the
        worst and median latency of the answers (0 where there is none).
    """
    seconds: list[list[Outcome]] = [[] for _ in range(max(int(np.ceil(duration_s)), 1))]
    for outcome in outcomes:
        seconds[min(int(outcome.scheduled_s), len(seconds) - 1)].append(outcome)

    def own(second: Iterable[Outcome]) -> list[float]:
        return [o.stages_s["total"] for o in second if o.status == _SERVED]

    return {
        "sent": [len(s) for s in seconds],
        "in_time": [sum(o.budget_met for o in s) for s in seconds],
        "not_run": [sum(o.status in (_SHED, _LATE) for o in s) for s in seconds],
        "latency_p50_s": [round(_quantile(own(s), 0.5), 6) for s in seconds],
        "latency_max_s": [round(max(own(s), default=0.0), 6) for s in seconds],
        "accuracy": [
            round(_mean([o.expected_accuracy or 0.0 for o in s if o.budget_met]), 4)
            for s in seconds
        ],
    }


def by_window(outcomes: Sequence[Outcome], size: int) -> list[float]:
    """Attainment of every ``size`` requests in a row; what is left over at the end is left out."""
    met = [o.budget_met for o in outcomes]
    return [sum(met[i : i + size]) / size for i in range(0, len(met) - size + 1, size)]


def tally(outcomes: Iterable[Outcome]) -> Mapping[str, Mapping[str, int]]:
    """How often each ratio answered, and each error was met."""
    listed = list(outcomes)
    return {
        "ratios": dict(sorted(Counter(o.variant[-3:] for o in listed if o.variant).items())),
        "errors": dict(Counter(o.error for o in listed if o.error).most_common(12)),
    }


def _quantile(values: Sequence[float], q: float) -> float:
    return float(np.quantile(values, q)) if len(values) else 0.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
