from __future__ import annotations

import pytest

from sentryfuse.energy import PowerIntegrator
from sentryfuse.errors import ConfigError


def integrated(*samples: tuple[float, float | None], **limits: float) -> PowerIntegrator:
    """An integrator that was given (seconds, watts); a gap may be 10 s unless said otherwise."""
    made = PowerIntegrator(**{"started_s": 0.0, "max_gap_s": 10.0, "max_power_w": 100.0, **limits})
    for now_s, power_w in samples:
        made.update(power_w, now_s)
    return made


def test_energy_is_the_area_under_a_line_through_irregular_samples() -> None:
    made = integrated((0, 10.0), (1, 20.0), (4, 20.0), (4.5, 0.5))

    assert made.total_j == pytest.approx(15 + 60 + 0.25 * 20.5)


def test_the_latest_sample_is_held_until_the_next() -> None:
    made = integrated((0, 10.0))

    assert [made.total_at(t) for t in (0.0, 0.5, 2.0)] == [0.0, 5.0, 20.0]


def test_what_was_said_is_never_taken_back() -> None:
    made = integrated((0, 10.0))
    said_j = made.total_at(2.0)
    made.update(1.0, 2.0)

    assert made.total_j == 11.0
    assert made.total_at(2.0) == said_j == 20.0
    assert made.total_at(11.0) == 20.0
    assert made.total_at(11.5) == 20.5


def test_a_sample_speaks_for_so_long_and_no_longer() -> None:
    made = integrated((0, 10.0), max_gap_s=5.0)
    assert made.total_at(3600.0) == 50.0
    made.update(10.0, 3600.0)

    assert made.total_at(3600.0) == 50.0
    assert made.faults == {"vanished": 1}


@pytest.mark.parametrize("power_w", [0.0, -3.0, float("nan"), float("inf"), 100.5])
def test_a_power_that_cannot_be_is_left_out_and_counted(power_w: float) -> None:
    made = integrated((0, 10.0), (1, power_w), (2, 10.0))

    assert made.total_j == 20.0
    assert made.faults == {"absurd": 1}


def test_a_source_that_vanishes_is_counted_once_until_it_is_back() -> None:
    made = integrated((0, 10.0), (1, None), (2, None), (3, 10.0), (4, None))

    assert made.total_j == 30.0
    assert made.faults == {"vanished": 2}


def test_a_figure_that_never_changes_is_frozen_once_until_it_does() -> None:
    same = [(float(t), 5.0) for t in range(40)]
    made = integrated(*same, (40, 5.1), frozen_after_s=15.0)

    assert made.faults == {"frozen": 1}
    assert made.trouble_at(40.0) is None
    assert integrated(*same, frozen_after_s=15.0).trouble_at(39.0) == "frozen"


def test_a_stumble_is_no_trouble_and_a_streak_is_until_it_ends() -> None:
    made = integrated((0, 10.0), (1, None), (2, -1.0))
    assert made.trouble_at(2.0) is None
    made.update(None, 3.0)
    assert made.trouble_at(3.0) == "vanished"
    made.update(10.0, 4.0)
    assert made.trouble_at(4.0) is None


def test_a_source_that_falls_silent_or_never_spoke_is_in_trouble() -> None:
    assert integrated((0, 10.0)).trouble_at(9.0) is None
    assert integrated((0, 10.0)).trouble_at(10.1) == "vanished"
    assert integrated().trouble_at(10.1) == "vanished"


def test_two_samples_at_once_are_one() -> None:
    made = integrated((0, 10.0), (0, 90.0), (1, 10.0))

    assert made.total_j == 10.0


@pytest.mark.parametrize("name", ["max_gap_s", "max_power_w", "frozen_after_s"])
def test_a_limit_that_is_not_positive_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        integrated(**{name: 0.0})
