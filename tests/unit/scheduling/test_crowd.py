from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.crowd import Crowd


def crowd_of(inside: int, pace_s: float = 0.01) -> Crowd:
    crowd = Crowd(0.0)
    crowd.pace_s = pace_s
    for _ in range(inside):
        crowd.enter(0.0)
    return crowd


def test_an_idle_machine_refuses_nobody_however_short_the_budget() -> None:
    assert crowd_of(0).refusal_s(0.0, 1e-6) is None


def test_who_would_be_late_behind_the_others_is_refused() -> None:
    assert crowd_of(3).refusal_s(0.0, 0.1) is None
    assert crowd_of(8, 0.01).refusal_s(0.0, 0.1) is None
    assert crowd_of(9, 0.01).refusal_s(0.0, 0.1) is not None


def test_a_longer_budget_may_stand_in_a_longer_line() -> None:
    crowd = crowd_of(50)
    assert crowd.refusal_s(0.0, 0.1) is not None
    assert crowd.refusal_s(0.0, 1.0) is None


def test_those_let_in_a_moment_ago_count() -> None:
    assert crowd_of(4).refusal_s(0.0, 0.1, others=20) is not None


def test_who_is_refused_is_told_to_come_back_one_after_the_other() -> None:
    crowd = crowd_of(40)
    told = [crowd.refusal_s(0.0, 0.1) or 0.0 for _ in range(30)]
    assert told == sorted(told)
    assert told[0] == pytest.approx(41 * 0.01 - 0.09 + 0.01, abs=1e-6)
    assert told[-1] - told[0] == pytest.approx(29 * 0.01)


def test_nobody_is_sent_away_for_longer_than_ten_seconds() -> None:
    crowd = crowd_of(2000, 0.1)
    assert all((crowd.refusal_s(0.0, 0.1) or 0.0) <= 10.0 for _ in range(100))


def test_the_pace_is_that_of_the_answers_while_somebody_waits() -> None:
    crowd, now_s = Crowd(0.0), 0.0
    for _ in range(10):
        crowd.enter(now_s)
    for _ in range(2000):
        now_s += 0.004
        crowd.leave(now_s, in_time=True)
        crowd.enter(now_s)
    assert crowd.pace_s == pytest.approx(0.004, rel=0.05)


def test_time_without_anybody_inside_does_not_slow_the_pace() -> None:
    crowd, now_s = Crowd(0.0), 0.0
    for _ in range(500):
        now_s += 1.0  # idle
        crowd.enter(now_s)
        now_s += 0.003
        crowd.leave(now_s, in_time=True)
    assert crowd.pace_s == pytest.approx(0.003, rel=0.1)


def test_when_nobody_is_served_the_door_closes_and_opens_again_with_answers() -> None:
    crowd, now_s = crowd_of(20, 0.002), 0.0
    assert crowd.refusal_s(now_s, 0.1) is None
    for _ in range(300):
        now_s += 0.01
        crowd.leave(now_s, in_time=False)
        crowd.enter(now_s)
    assert crowd.refusal_s(now_s, 0.1) is not None
    for _ in range(2000):
        now_s += 0.002
        crowd.leave(now_s, in_time=True)
        crowd.enter(now_s)
    assert crowd.refusal_s(now_s, 0.1) is None


def goodput(*, overload: float, door: bool, seed: int) -> float:
    """Answers in time over what one core could do, in a server that serves one after the other.

    Whoever is let in costs a service time, in time or not: it is read before it is judged.
    """
    chance, service_s, budget_s = random.Random(seed), 0.003, 0.05
    crowd, now_s, free_s, in_time = Crowd(0.0), 0.0, 0.0, 0
    inside: list[tuple[float, bool]] = []
    while now_s < 20.0:
        now_s += chance.expovariate(overload / service_s)
        while inside and inside[0][0] <= now_s:
            ends_s, good = inside.pop(0)
            crowd.leave(ends_s, in_time=good)
            in_time += good
        if door and crowd.refusal_s(now_s, budget_s) is not None:
            continue
        crowd.enter(now_s)
        free_s = max(free_s, now_s) + service_s * chance.uniform(0.5, 1.5)
        inside.append((free_s, free_s - now_s <= budget_s))
    return in_time * service_s / 20.0


@pytest.mark.parametrize("overload", [2.0, 10.0])
def test_under_overload_nearly_all_of_the_capacity_is_left(overload: float) -> None:
    assert goodput(overload=overload, door=False, seed=1) < 0.1
    assert goodput(overload=overload, door=True, seed=1) > 0.9


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "ask"]), st.floats(0, 0.5), st.booleans()),
        max_size=200,
    )
)
def test_whatever_happens_answers_are_finite_and_few_may_always_come_in(
    events: list[tuple[str, float, bool]],
) -> None:
    crowd, now_s = Crowd(0.0), 0.0
    for what, elapsed_s, in_time in events:
        now_s += elapsed_s
        if what == "enter":
            crowd.enter(now_s)
        elif what == "leave" and crowd.inside:
            crowd.leave(now_s, in_time=in_time)
        else:
            retry_s = crowd.refusal_s(now_s, 0.01)
            assert retry_s is None or 0.1 <= retry_s <= 10.0
            assert retry_s is None or crowd.inside >= 4
        assert 0 < crowd.pace_s <= 1.0
