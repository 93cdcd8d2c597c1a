from __future__ import annotations

import math
from typing import Any

import pytest

from app.scheduling.lanes import Lanes
from app.scheduling.pace import HEADROOM, pace_s
from tests.unit.scheduling.ladder import request


def waiting(*due_s: float) -> Lanes:
    lanes = Lanes()
    for number, due in enumerate(due_s):
        lanes.add(request(number), due)
    return lanes


def pace(lanes: Lanes, **state: Any) -> float:
    return pace_s(lanes, **{"rate_hz": 0.0, "budget_s": 0.1, "cores": 1, "now_s": 0.0, **state})


def test_with_nothing_waiting_there_is_all_the_time() -> None:
    assert pace(Lanes(), rate_hz=100.0) == math.inf


def test_a_lone_request_may_take_the_time_to_its_deadline() -> None:
    assert pace(waiting(0.1)) == pytest.approx(HEADROOM * 0.1)


def test_requests_due_together_share_the_time_evenly() -> None:
    assert pace(waiting(0.1, 0.1, 0.1, 0.1), cores=2) == pytest.approx(HEADROOM * 2 * 0.1 / 4)


def test_the_tightest_interval_decides() -> None:
    assert pace(waiting(0.010, 0.010, 9.0, 9.0)) == pytest.approx(HEADROOM * 0.005)


def test_a_queue_of_half_a_budget_is_where_a_steady_stream_settles() -> None:
    rate_hz, budget_s = 1000.0, 0.1
    queue = waiting(*(0.05 + n / rate_hz for n in range(50)))

    steady = pace(queue, rate_hz=rate_hz, budget_s=budget_s, cores=2)

    assert steady == pytest.approx(HEADROOM * 2 / rate_hz, rel=0.02)


def test_a_short_queue_lets_each_take_more_than_a_steady_stream_can_have() -> None:
    quick = pace(waiting(0.1), rate_hz=1000.0, cores=2)

    assert quick > 1.2 * HEADROOM * 2 / 1000.0


def test_a_long_queue_leaves_each_less_than_a_steady_stream_can_have() -> None:
    queue = waiting(*(0.1 for _ in range(90)))

    assert pace(queue, rate_hz=1000.0, cores=2) < 0.9 * HEADROOM * 2 / 1000.0


def test_past_its_deadline_nobody_has_time() -> None:
    assert pace(waiting(0.1), now_s=0.1) == 0.0
