"""How much core time each window may take, so that everyone who waits can still be in time."""

from __future__ import annotations

import math

from app.scheduling.lanes import Lanes

HEADROOM = 0.9
# Share of the cores' time that is planned for: arrivals are a forecast and inferences scatter.


def pace_s(lanes: Lanes, *, rate_hz: float, cores: float, now_s: float) -> float:
    """Return the core time that one window may take, in seconds; infinity if nothing waits.

    Up to the deadline of the k-th request in line, ``h`` seconds from now, the cores have
    ``cores * h`` seconds for its k predecessors and for those that will arrive meanwhile. Shared
    out evenly each window gets ``cores / (rate + k / h)``, and the tightest k decides: the
    critical interval of Yao, Demers and Shenker (FOCS 1995), with a forecast of arrivals. An even
    share is best because accuracy has diminishing returns in time. Ranks are sampled at powers
    of two, so that the cost stays logarithmic.

    Args:
        lanes: What waits, the request that is about to be planned included.
        rate_hz: Windows that arrive per second.
        cores: Cores that serve them.
        now_s: The time, less what an answer takes beside its inference.
    """
    waiting = len(lanes)
    if not waiting:
        return math.inf
    per_request = lanes.windows / waiting
    busiest_hz, rank = 0.0, 1
    while True:
        horizon_s = lanes.due_at(rank - 1) - now_s
        if horizon_s <= 0:
            return 0.0
        busiest_hz = max(busiest_hz, rank / horizon_s)
        if rank == waiting:
            break
        rank = min(2 * rank, waiting)
    return HEADROOM * cores / (rate_hz + per_request * busiest_hz)
