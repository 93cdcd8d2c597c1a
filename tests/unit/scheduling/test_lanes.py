from __future__ import annotations

import pytest

from app.scheduling.lanes import Lanes
from tests.unit.scheduling.ladder import request


def test_the_most_urgent_request_is_first_whatever_came_first() -> None:
    lanes = Lanes()
    lanes.add(request(1, group="a"), 5.0)
    lanes.add(request(2, group="b"), 3.0)
    lanes.add(request(3, group="a"), 4.0)

    urgent = lanes.most_urgent()
    assert urgent is not None
    assert urgent.head.id == 2
    assert [lanes.due_at(rank) for rank in range(3)] == [3.0, 4.0, 5.0]


def test_requests_of_one_group_share_a_lane_in_order_of_their_deadlines() -> None:
    lanes = Lanes()
    for number, due_s in ((1, 5.0), (2, 3.0), (3, 4.0)):
        lanes.add(request(number), due_s)

    lane = lanes.most_urgent()
    assert lane is not None
    assert [r.id for r in lanes.take(lane, 2)] == [2, 3]
    assert len(lanes) == 1


@pytest.mark.parametrize(
    "other",
    [{"group": "b"}, {"energy_j": 0.1}, {"accuracy_floor": 0.5}, {"permilles": frozenset({0})}],
)
def test_requests_whose_plans_may_differ_do_not_share_a_lane(other: dict[str, object]) -> None:
    lanes = Lanes()
    lanes.add(request(1), 1.0)
    lanes.add(request(2, **other), 2.0)

    lane = lanes.most_urgent()
    assert lane is not None
    assert len(lane.line) == 1


def test_a_strict_and_a_lenient_request_share_a_lane_when_only_time_is_asked() -> None:
    lanes = Lanes()
    lanes.add(request(1, 5, strict=True), 1.0)
    lanes.add(request(2, 5), 2.0)

    lane = lanes.most_urgent()
    assert lane is not None
    assert len(lane.line) == 2


def test_a_batch_ends_before_it_has_too_many_windows() -> None:
    lanes = Lanes()
    for number, windows in enumerate((3, 4, 2)):
        lanes.add(request(number, windows=windows), float(number))

    lane = lanes.most_urgent()
    assert lane is not None
    assert lane.windows(10, 8) == (3, 4)
    assert lane.windows(10, 2) == (3,)


def test_windows_are_counted_in_and_out() -> None:
    lanes = Lanes()
    lanes.add(request(1, windows=3), 1.0)
    lanes.add(request(2), 2.0)
    assert lanes.windows == 4

    lanes.remove(1)

    assert lanes.windows == 1
    lane = lanes.most_urgent()
    assert lane is not None
    assert lane.many == 0


def test_what_was_removed_is_gone_and_removing_it_again_does_nothing() -> None:
    lanes = Lanes()
    lanes.add(request(1), 1.0)

    assert lanes.remove(1) is not None
    assert lanes.remove(1) is None
    assert lanes.most_urgent() is None


def test_the_same_id_can_not_wait_twice() -> None:
    lanes = Lanes()
    lanes.add(request(1), 1.0)

    with pytest.raises(ValueError, match="request 1 waits already"):
        lanes.add(request(1), 2.0)


def test_those_ahead_are_due_no_later() -> None:
    lanes = Lanes()
    for number in range(5):
        lanes.add(request(number), float(number))

    assert lanes.ahead_of(2.0) == 3
    assert lanes.ahead_of(-1.0) == 0
