from __future__ import annotations

import pytest

from app.scheduling.handover import Handover
from tests.unit.scheduling.busy_loop import LADDER, BusyLoop, poisson
from tests.unit.scheduling.ladder import request, scheduler

SECONDS = 3.0


def learnt(*seconds: float) -> Handover:
    handover = Handover()
    for each_s in seconds:
        handover = handover.updated(each_s)
    return handover


def test_it_follows_what_batches_take() -> None:
    assert learnt(*[0.002] * 200).allowance_s == pytest.approx(0.002, rel=0.01)


def test_what_scatters_is_planned_for_with_more_than_its_mean() -> None:
    assert learnt(*[0.001, 0.003] * 200).allowance_s > 0.003


def test_one_hiccup_leaves_it_about_where_it_is() -> None:
    calm = learnt(*[0.0005] * 100)

    assert calm.updated(1.0).allowance_s < 1.5 * calm.allowance_s


def test_rounding_of_clocks_is_no_handover() -> None:
    assert learnt(*[1e-9, -1e-9] * 20) == Handover()


def test_a_batch_is_handed_over_once_however_many_share_it() -> None:
    made = scheduler()
    made.handover = learnt(*[0.004] * 200)
    for number in range(4):
        made.submit(request(number, 200), 0.0)
    dispatch = made.next(0.0)

    assert dispatch is not None
    view = dispatch.view
    alone = next(offer for offer in view.offers if offer.requests == 1)
    assert view.core_s(alone) == pytest.approx(alone.latency_s + view.handover_s)
    shared = next(offer for offer in view.offers if offer.requests == 4)
    assert view.core_s(shared) == pytest.approx((shared.latency_s + view.handover_s) / 4)


@pytest.mark.parametrize("rate_hz", [100, 300])
def test_while_there_is_room_everybody_gets_the_most_accurate_alone(rate_hz: float) -> None:
    arrivals = poisson(rate_hz, 0, SECONDS, seed=1)
    served = BusyLoop().run(arrivals)

    assert served.attainment(len(arrivals)) == 1.0
    assert served.permille.count(0) >= 0.999 * len(arrivals)
    assert sum(served.batch) / len(served.batch) < 1.05


@pytest.mark.parametrize("rate_hz", [800, 1000, 1200, 1400])
def test_where_handing_over_takes_the_cores_requests_stay_in_time(rate_hz: float) -> None:
    arrivals = poisson(rate_hz, 0, SECONDS, seed=2)

    assert BusyLoop().run(arrivals).attainment(len(arrivals)) >= 0.995


def test_a_scheduler_that_does_not_see_it_is_late() -> None:
    arrivals = poisson(1600, 0, SECONDS, seed=2)

    assert BusyLoop().run(arrivals).attainment(len(arrivals)) >= 0.99
    assert BusyLoop(blind=True).run(arrivals).attainment(len(arrivals)) < 0.95


def test_the_more_come_the_smaller_variants_are() -> None:
    means = []
    for rate_hz in (400, 800, 1000, 1200, 1400):
        served = BusyLoop().run(poisson(rate_hz, 0, SECONDS, seed=3))
        means.append(sum(served.permille) / len(served.permille))

    assert means == sorted(means)
    assert means[0] < 10
    assert means[-1] > 700


def test_when_the_rush_is_over_the_most_accurate_returns_within_half_a_second() -> None:
    arrivals = [
        *poisson(200, 0, 3, seed=4),
        *poisson(1200, 3, 6, seed=5),
        *poisson(200, 6, 9, seed=6),
    ]
    served = BusyLoop().run(arrivals)

    assert served.share(0, 1, 3) == 1.0
    assert served.share(0, 4, 6) < 0.2
    assert served.share(0, 6.5, 9) == 1.0


@pytest.mark.parametrize("rate_hz", [800, 1000, 1200])
def test_under_steady_load_the_mix_of_variants_does_not_swing(rate_hz: float) -> None:
    served = BusyLoop().run(poisson(rate_hz, 0, 8, seed=7))
    accuracy = {permille: accuracy for permille, (_, accuracy) in LADDER.items()}
    means = [
        sum(accuracy[p] * served.share(p, start, start + 1.0) for p in accuracy)
        for start in range(2, 7)
    ]

    span = accuracy[0] - accuracy[900]
    assert max(means) - min(means) < 0.25 * span


def test_the_reason_names_the_rate_where_it_decided_although_nobody_waits() -> None:
    made = scheduler()
    now_s = 0.0
    for number in range(200):  # one every 5 ms, where the best variant takes 9
        made.submit(request(number, 200, received_s=now_s), now_s)
        dispatch = made.next(now_s)
        assert dispatch is not None
        option = dispatch.offer.option
        now_s += 0.005
        made.finished(dispatch, latency_s=option.latency_s, energy_j=option.energy_j, now_s=now_s)

    assert option.permille > 0
    reason = dispatch.plan(dispatch.requests[0]).reason
    assert "requests come so fast that each may hold a core for" in reason
