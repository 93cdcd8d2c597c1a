"""A trace's slow-downs as CPU time that a neighbour takes."""

from __future__ import annotations

import pytest

from loadtests.neighbour import Stretch, stretches


def test_a_slow_down_by_two_takes_half_of_every_core() -> None:
    steps = ((0.0, 1.0), (1.0, 2.0), (3.0, 1.0), (4.0, 1.25))
    assert stretches(steps, 6.0) == (Stretch(1.0, 3.0, 0.5), Stretch(4.0, 6.0, 1 - 1 / 1.25))


def test_nothing_is_taken_where_nothing_slows_down() -> None:
    assert stretches(((0.0, 1.0),), 6.0) == ()


@pytest.mark.parametrize("wrong", [(1.0, 1.0, 0.5), (0.0, 1.0, 0.0), (0.0, 1.0, 1.5)])
def test_a_stretch_that_takes_nothing_or_too_much_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="a stretch needs"):
        Stretch(*wrong)
