from __future__ import annotations

import math
from typing import Any

import pytest

from app.scheduling.dispatch import Dispatch
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Request
from tests.unit.scheduling.ladder import request, scheduler


def first(made: Scheduler, *requests: Request, now_s: float = 0.0) -> Dispatch:
    for one in requests:
        assert made.submit(one, now_s) is None
    dispatch = made.next(now_s)
    assert dispatch is not None
    return dispatch


def ratio(made: Scheduler, *requests: Request) -> int:
    return first(made, *requests).offer.option.permille


def reasons(made: Scheduler) -> list[tuple[int, str]]:
    return [(d.request.id, d.reason) for d in made.dropped()]


def run(made: Scheduler, dispatch: Dispatch, now_s: float, **took: Any) -> None:
    option = dispatch.offer.option
    made.finished(
        dispatch,
        latency_s=took.get("latency_s", option.latency_s),
        energy_j=took.get("energy_j", option.energy_j),
        now_s=now_s,
    )


def test_a_lone_request_gets_the_most_accurate_variant_in_time() -> None:
    assert ratio(scheduler(), request(1, 20)) == 0
    assert ratio(scheduler(), request(1, 6)) == 500
    assert ratio(scheduler(), request(1)) == 0


def test_nothing_runs_while_no_core_is_free() -> None:
    made = scheduler()
    dispatch = first(made, request(1, 50))
    made.submit(request(2, 50), 0.0)

    assert made.next(0.0) is None
    run(made, dispatch, 0.009)
    assert made.next(0.009) is not None


def test_the_most_urgent_request_runs_first() -> None:
    dispatch = first(scheduler(), request(1, 80, group="a"), request(2, 40, group="b"))

    assert [r.id for r in dispatch.requests] == [2]


def test_requests_of_one_group_share_a_batch_and_no_others_do() -> None:
    dispatch = first(
        scheduler(), request(1, 80), request(2, 90), request(3, 85, group="b"), request(4, 95)
    )

    assert [r.id for r in dispatch.requests] == [1, 2, 4]
    assert dispatch.offer.option.batch == 3


def test_under_backlog_everyone_gets_an_even_share_of_the_time() -> None:
    crowd = [request(n, 40, group=str(n)) for n in range(8)]

    assert ratio(scheduler(), *crowd) == 900


def test_the_reason_names_those_who_wait_where_they_decided() -> None:
    crowd = [request(n, 40, group=str(n)) for n in range(8)]
    dispatch = first(scheduler(), *crowd)

    assert "7 more wait, so each gets an even share" in dispatch.plan(dispatch.requests[0]).reason


def test_an_accuracy_floor_is_kept_under_backlog() -> None:
    crowd = [request(n, 40, group=str(n), accuracy_floor=0.85) for n in range(8)]

    assert ratio(scheduler(), *crowd) == 500


def test_a_strict_request_that_can_not_make_it_is_dropped_unrun() -> None:
    made = scheduler()
    dispatch = first(made, request(1, 50))
    made.submit(request(2, 12, strict=True), 0.0)
    run(made, dispatch, 0.011)

    assert made.next(0.011) is None
    assert reasons(made) == [(2, "deadline")]


def test_a_lenient_request_that_can_not_make_it_waits_for_those_that_can() -> None:
    made = scheduler()
    dispatch = first(made, request(1, 50))
    made.submit(request(2, 10, group="late"), 0.0)
    made.submit(request(3, 100, group="timely"), 0.0)
    run(made, dispatch, 0.0095)

    after = made.next(0.0095)
    assert after is not None
    assert after.requests[0].id == 3
    run(made, after, 0.02)
    last = made.next(0.02)
    assert last is not None
    assert last.requests[0].id == 2
    assert last.offer.option.permille == 900


def test_a_late_request_is_given_up_when_its_grace_is_over() -> None:
    made = scheduler(late_grace_s=0.5)
    long = first(made, request(1, 5000))
    made.submit(request(2, 10), 0.0)
    made.submit(request(3, 5000, group="b"), 0.0)
    run(made, long, 0.02)
    timely = made.next(0.02)
    assert timely is not None
    run(made, timely, 0.6)

    assert made.next(0.6) is None
    assert reasons(made) == [(2, "deadline")]


def test_a_request_without_deadline_is_given_up_when_patience_is_over() -> None:
    made = scheduler(patience_s=1.0)
    dispatch = first(made, request(1))
    made.submit(request(2), 0.0)
    run(made, dispatch, 1.5)

    assert made.next(1.5) is None
    assert reasons(made) == [(2, "patience")]


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    made = scheduler(max_queue=2)
    first(made, request(1, 1000))
    made.submit(request(2, 1000), 0.0)
    made.submit(request(3, 1000), 0.0)

    refused = made.submit(request(4, 1000), 0.0)

    assert refused is not None
    assert refused.reason == "queue_full"
    assert 0.009 < refused.retry_after_s < 0.015


def test_without_room_to_wait_a_request_still_goes_to_a_free_core() -> None:
    made = scheduler(max_queue=0)
    first(made, request(1, 1000))

    refused = made.submit(request(2, 1000), 0.0)

    assert refused is not None
    assert refused.reason == "queue_full"


def test_a_strict_request_that_is_bound_to_be_late_is_refused_when_it_arrives() -> None:
    made = scheduler()
    first(made, request(0, 1000))
    for n in range(1, 9):
        made.submit(request(n, 30, group=str(n)), 0.0)

    refused = made.submit(request(9, 10, strict=True), 0.0)

    assert refused is not None
    assert refused.reason == "busy"


def test_a_request_refused_by_an_idle_machine_makes_it_doubt_its_estimate() -> None:
    made = scheduler()
    made.estimator.latency = made.estimator.latency.__class__(mean=5.0, variance=0.0)
    refused = 0
    while made.submit(request(refused, 5, strict=True), 0.0) is not None:
        refused += 1
        assert refused < 20

    assert refused > 0


def test_a_strict_floor_that_nothing_reaches_is_dropped_for_its_accuracy() -> None:
    made = scheduler()
    made.submit(request(1, 50, accuracy_floor=0.95, strict=True), 0.0)

    assert made.next(0.0) is None
    assert reasons(made) == [(1, "accuracy")]


def test_rows_of_a_lone_batch_are_shared_out_when_that_makes_it_more_accurate() -> None:
    dispatch = first(scheduler(cores=2), request(1, 20, windows=4))

    assert (dispatch.cores, dispatch.offer.option.permille) == (2, 0)
    assert dispatch.offer.latency_s == pytest.approx(17e-3)


def test_nothing_is_shared_out_while_others_wait() -> None:
    dispatch = first(scheduler(cores=2), request(1, 20, windows=4), request(2, 200, group="b"))

    assert dispatch.cores == 1


def test_a_cancelled_request_does_not_run() -> None:
    made = scheduler()
    made.submit(request(1, 50), 0.0)

    assert made.cancel(1)
    assert not made.cancel(1)
    assert made.next(0.0) is None


def test_the_estimate_follows_a_machine_half_as_fast_as_its_profile() -> None:
    made = scheduler()
    for n in range(20):
        dispatch = first(made, request(n, 50, received_s=float(n)), now_s=float(n))
        run(made, dispatch, n + 0.02, latency_s=2 * dispatch.offer.latency_s)

    assert made.estimator.latency.mean == pytest.approx(2.0, rel=0.05)


def test_latency_and_energy_are_corrected_apart() -> None:
    made = scheduler()
    for n in range(20):
        dispatch = first(made, request(n, 50, received_s=float(n)), now_s=float(n))
        run(made, dispatch, n + 0.02, energy_j=3 * dispatch.offer.option.energy_j)

    assert made.estimator.latency.mean == pytest.approx(1.0, rel=0.01)
    assert made.estimator.energy.mean == pytest.approx(3.0, rel=0.05)


def test_a_failed_inference_gives_its_core_back() -> None:
    made = scheduler()
    made.failed(first(made, request(1, 50)))

    assert made.free_cores == 1


@pytest.mark.parametrize("cap_w", [3.6, 4.0, 4.2, 4.8])
def test_under_a_cap_the_energy_lasts_for_all_that_arrive_and_is_used(cap_w: float) -> None:
    made = scheduler(cap_w=cap_w)  # 0.6 to 1.8 J a second, for 50 requests of 10, 25 or 45 mJ
    spent_j = []
    for n in range(500):
        now_s = n / 50
        made.submit(request(n, 15, received_s=now_s), now_s)
        if (dispatch := made.next(now_s)) is not None:
            spent_j.append(dispatch.predicted_j)
            run(made, dispatch, now_s + dispatch.offer.latency_s)

    assert len(spent_j) > 480
    assert 0.8 < sum(spent_j[250:]) / 5 / (cap_w - 3.0) <= 1.0


def test_a_request_waits_for_energy_and_is_told_when() -> None:
    made = scheduler(cap_w=3.5)
    now_s, ran = 0.0, 0
    made.submit(request(0, group="0"), 0.0)
    while (dispatch := made.next(now_s)) is not None:
        run(made, dispatch, now_s + 0.009)
        now_s, ran = now_s + 0.009, ran + 1
        made.submit(request(ran, group=str(ran), received_s=now_s), now_s)

    wake_s = made.wake_s

    assert 0 < ran < 10
    assert now_s < wake_s < now_s + 1.0
    assert made.next(wake_s + 1e-6) is not None


def test_a_request_that_waits_for_energy_hears_of_it_when_its_deadline_passes() -> None:
    made = scheduler(cap_w=4.0)
    made.submit(request(1, 50, strict=True), 0.0)
    made.gate.set_cap(3.001, 0.0)

    now_s = 0.0
    while made.waiting:
        assert made.next(now_s) is None
        assert made.wake_s > now_s or not made.waiting
        now_s = made.wake_s if made.waiting else now_s

    assert now_s == pytest.approx(0.050)
    assert reasons(made) == [(1, "deadline")]


def test_a_strict_floor_waits_for_energy_rather_than_take_a_smaller_variant() -> None:
    made = scheduler(cap_w=3.5)
    now_s = 0.0
    for n in range(30):
        asked = request(n, 900, group=str(n), received_s=now_s, accuracy_floor=0.87, strict=True)
        if made.submit(asked, now_s) is None and (dispatch := made.next(now_s)) is not None:
            assert dispatch.offer.accuracy >= 0.87
            run(made, dispatch, now_s + 0.009)
        now_s += 0.009

    assert made.waiting > 0


def test_while_joules_are_short_a_batch_may_grow_for_half_of_its_budget() -> None:
    made = scheduler(cap_w=4.4)
    now_s, batches = 0.0, []
    for n in range(400):  # 200 a second: 7 mJ each, and the smallest takes 10 mJ alone
        now_s = n / 200
        made.submit(request(n, 100, received_s=now_s), now_s)
        if (dispatch := made.next(now_s)) is not None:
            batches.append(len(dispatch.requests))
            run(made, dispatch, now_s)

    assert sum(batches[5:]) / len(batches[5:]) > 2.5


def test_without_a_cap_nobody_needs_waking() -> None:
    made = scheduler()
    first(made, request(1, 50))

    assert made.wake_s == math.inf


def test_the_plan_counts_the_time_already_spent_and_the_share_of_the_energy() -> None:
    made = scheduler()
    made.submit(request(1, 80, reading_j=0.001), 0.010)
    made.submit(request(2, 90), 0.010)
    dispatch = made.next(0.010)
    assert dispatch is not None

    plan = dispatch.plan(dispatch.requests[0])

    assert plan.batch == 2
    assert plan.requests == 2
    assert plan.expected_latency_s == pytest.approx(0.010 + 0.017)
    assert plan.expected_energy_j == pytest.approx(0.085 / 2 + 0.001)
    assert plan.feasible
