from __future__ import annotations

import pytest

from sentryfuse.energy import MonotoneCounter
from sentryfuse.errors import ConfigError


def counter(*readings: tuple[float, float | None], **limits: float) -> MonotoneCounter:
    """A counter (100 W at most unless said otherwise) that has read (seconds, raw joules)."""
    made = MonotoneCounter(**{"max_power_w": 100.0, **limits})
    for now_s, raw_j in readings:
        made.update(raw_j, now_s)
    return made


def test_the_first_reading_is_where_counting_starts() -> None:
    assert counter((0, 5000)).total_j == 0.0


def test_gains_add_up() -> None:
    assert counter((0, 5000), (1, 5010), (2, 5030)).total_j == 30.0


def test_a_wrap_loses_nothing_and_is_counted() -> None:
    wrapped = counter((0, 990), (1, 15), range_j=1000.0)

    assert wrapped.total_j == 25.0
    assert wrapped.faults == {"wrap": 1}


def test_a_fall_without_a_known_range_is_a_reset_and_counting_goes_on_from_there() -> None:
    fallen = counter((0, 990), (1, 5), (2, 15))

    assert fallen.total_j == 10.0
    assert fallen.faults == {"reset": 1}


def test_a_fall_too_deep_for_a_wrap_is_a_reset() -> None:
    fallen = counter((0, 500), (1, 5), (2, 15), range_j=1000.0)

    assert fallen.total_j == 10.0
    assert fallen.faults == {"reset": 1}


def test_a_gain_no_node_could_draw_is_absurd_and_not_added() -> None:
    leapt = counter((0, 0), (1, 1e6), (2, 1e6 + 10))

    assert leapt.total_j == 10.0
    assert leapt.faults == {"absurd": 1}


@pytest.mark.parametrize("raw_j", [-1.0, float("nan"), float("inf"), 1001.0])
def test_a_reading_that_cannot_be_is_absurd_and_changes_nothing(raw_j: float) -> None:
    read = counter((0, 10), (1, raw_j), (2, 20), range_j=1000.0)

    assert read.total_j == 10.0
    assert read.faults == {"absurd": 1}


def test_a_slow_counter_read_often_is_not_absurd() -> None:
    readings = [(i / 100, 50.0 * (i // 100)) for i in range(301)]

    read = counter(*readings)

    assert read.total_j == 150.0
    assert read.faults == {}


def test_a_counter_that_stands_still_is_frozen_once_until_it_moves() -> None:
    still = counter((0, 7), (1, 7), (3, 7), (4, 7), (5, 9), (9, 9), frozen_after_s=2.0)

    assert still.total_j == 2.0
    assert still.faults == {"frozen": 2}


def test_a_gain_in_no_time_is_taken_in_with_the_next_reading() -> None:
    read = counter((0, 0), (1, 10), (1, 20), (2, 30))

    assert read.total_j == 30.0
    assert read.faults == {}


def test_a_counter_that_vanishes_is_counted_once_until_it_is_back_with_all_it_gained() -> None:
    away = counter((0, 990), (1, None), (2, None), (3, 15), (4, None), range_j=1000.0)

    assert away.total_j == 25.0
    assert away.faults == {"vanished": 2, "wrap": 1}


@pytest.mark.parametrize(
    ("bad", "fault"), [(None, "vanished"), (-1.0, "absurd"), (float("nan"), "absurd")]
)
def test_a_stumble_is_no_trouble_and_a_streak_is_until_it_ends(
    bad: float | None, fault: str
) -> None:
    stumbling = counter((0, 10), (1, bad), (2, bad))
    assert stumbling.trouble is None
    stumbling.update(bad, 3.0)
    assert stumbling.trouble == fault
    stumbling.update(20.0, 4.0)
    assert stumbling.trouble is None


def test_a_counter_that_falls_again_and_again_is_in_trouble() -> None:
    assert counter((0, 100), (1, 50), (2, 40), (3, 30)).trouble == "reset"


def test_standing_still_does_not_clear_a_liars_name() -> None:
    liar = counter((0, 0), (1, 1e6), (2, 1e6), (3, 2e6), (4, 2e6), (5, 3e6))

    assert liar.trouble == "absurd"


@pytest.mark.parametrize("name", ["range_j", "max_power_w", "frozen_after_s"])
def test_a_limit_that_is_not_positive_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        MonotoneCounter(**{name: 0.0})
