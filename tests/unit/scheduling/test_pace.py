from __future__ import annotations

import math

import pytest

from app.scheduling.lanes import Lanes
from app.scheduling.pace import HEADROOM, pace_s
from tests.unit.scheduling.ladder import request


def waiting(*due_s: float) -> Lanes:
    lanes = Lanes()
    for number, due in enumerate(due_s):
        lanes.add(request(number), due)
    return lanes


def test_with_nothing_waiting_there_is_all_the_time() -> None:
    assert pace_s(Lanes(), rate_hz=100.0, cores=2, now_s=0.0) == math.inf


def test_a_lone_request_may_take_the_time_to_its_deadline() -> None:
    assert pace_s(waiting(0.1), rate_hz=0.0, cores=1, now_s=0.0) == pytest.approx(HEADROOM * 0.1)


def test_requests_due_together_share_the_time_evenly() -> None:
    pace = pace_s(waiting(0.1, 0.1, 0.1, 0.1), rate_hz=0.0, cores=2, now_s=0.0)

    assert pace == pytest.approx(HEADROOM * 2 * 0.1 / 4)


def test_the_tightest_interval_decides() -> None:
    pace = pace_s(waiting(0.010, 0.010, 9.0, 9.0), rate_hz=0.0, cores=1, now_s=0.0)

    assert pace == pytest.approx(HEADROOM * 0.005)


def test_requests_to_come_get_their_share() -> None:
    pace = pace_s(waiting(10.0), rate_hz=500.0, cores=2, now_s=0.0)

    assert pace == pytest.approx(HEADROOM * 2 / 500.1)


def test_past_its_deadline_nobody_has_time() -> None:
    assert pace_s(waiting(0.1), rate_hz=0.0, cores=1, now_s=0.1) == 0.0
