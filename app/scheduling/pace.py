"""How much core time each window may take, so that everyone can still be in time."""

from __future__ import annotations

import math

from app.scheduling.lanes import Lanes

HEADROOM = 0.95
"""Share of the cores' time that is planned for: arrivals are a forecast, inferences scatter."""

_QUEUEING = 0.5
# Share of its budget that a request may spend in the queue; the rest absorbs what goes wrong.
_HORIZON = 2.0
# How far ahead to look, in budgets: far enough for the queue to settle, near enough to use it.


def pace_s(lanes: Lanes, *, rate_hz: float, budget_s: float, cores: float, now_s: float) -> float:
    """Return the core time that one window may take, in seconds; infinity if nothing waits.

    Within ``h`` seconds the cores have ``cores * h`` seconds of work to give: to those that wait
    and are due by then, and to those that will arrive and be due by then, which are all but the
    last half budget's worth of arrivals (a request may queue that long). Shared out evenly, each
    window gets ``cores * h / (k + rate * max(h - budget / 2, 0))``, and the tightest horizon
    decides: the critical interval of Yao, Demers and Shenker (FOCS 1995), with a forecast of
    arrivals. Looking two budgets ahead makes the queue a buffer: while it is short each may take
    more than arrivals can sustain, and it settles where a request queues for half its budget.

    An even share is best because accuracy has diminishing returns in time. Ranks are sampled at
    powers of two, so that the cost stays logarithmic.

    Args:
        lanes: What waits, the request that is about to be planned included.
        rate_hz: Windows that arrive per second.
        budget_s: Latency budget that those who arrive will have.
        cores: Cores that serve them.
        now_s: The time, plus what an answer takes beside its inference.
    """
    waiting = len(lanes)
    if not waiting:
        return math.inf
    per_request = lanes.windows / waiting
    queueing_s = _QUEUEING * budget_s
    horizon_s = _HORIZON * budget_s
    busiest_hz = (lanes.windows + rate_hz * (horizon_s - queueing_s)) / horizon_s
    rank = 1
    while True:
        horizon_s = lanes.due_at(rank - 1) - now_s
        if horizon_s <= 0:
            return 0.0
        due = rank * per_request + rate_hz * max(horizon_s - queueing_s, 0.0)
        busiest_hz = max(busiest_hz, due / horizon_s)
        if rank == waiting:
            break
        rank = min(2 * rank, waiting)
    return HEADROOM * cores / busiest_hz
