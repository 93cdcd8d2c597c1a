from __future__ import annotations

import pytest

from sentryfuse.energy import IdlePower
from sentryfuse.errors import ConfigError


def learnt(*powers_w: float, step_s: float = 2.0, faults: dict[int, int] | None = None) -> float:
    """What is learnt from a mean power in each step; ``faults``: by step, how many came with it."""
    idle, total_j, met = IdlePower(None, default_w=3.0), 0.0, 0
    idle.update(0.0, 0.0, 0)
    for step, power_w in enumerate(powers_w, start=1):
        total_j += power_w * step_s
        met += (faults or {}).get(step, 0)
        idle.update(total_j, step * step_s, met)
    return idle.power_w


def test_before_anything_is_learnt_the_default_stands() -> None:
    assert learnt() == 3.0


def test_the_lowest_mean_power_of_a_window_is_learnt_even_above_the_default() -> None:
    assert learnt(40.0, 55.0, 42.0) == 40.0
    assert learnt(40.0, 31.0, 60.0) == 31.0


def test_a_window_shorter_than_two_seconds_teaches_nothing() -> None:
    assert learnt(40.0, 1.0, step_s=0.9) == 3.0
    assert learnt(40.0, 1.0, 19.0, step_s=0.9) == pytest.approx(20.0)


def test_no_power_at_all_is_not_plausible() -> None:
    assert learnt(0.0) == 3.0
    assert learnt(40.0, 0.0) == 40.0


def test_a_window_in_which_the_meter_was_at_fault_does_not_count() -> None:
    assert learnt(40.0, 2.0, 41.0, faults={2: 1}) == 40.0


def test_a_stated_idle_power_is_not_unlearnt() -> None:
    idle = IdlePower(7.5, default_w=3.0)
    for step in range(5):
        idle.update(step * 2.0, step * 2.0, 0)
    assert idle.power_w == 7.5


@pytest.mark.parametrize("power_w", [-1.0, float("nan"), float("inf")])
def test_a_power_that_makes_no_sense_is_refused(power_w: float) -> None:
    with pytest.raises(ConfigError, match="idle_power_w"):
        IdlePower(power_w)
