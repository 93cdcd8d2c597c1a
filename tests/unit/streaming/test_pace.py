"""How fast a sensor may send."""

from __future__ import annotations

import pytest

from app.errors import ShedError
from app.streaming.pace import Pace, Paces
from sentryfuse.spec import ModalitySpec


def test_a_burst_is_let_in_and_then_so_many_a_second() -> None:
    pace = Pace(10.0, burst=20, now_s=0.0)
    assert pace.allows(20, 0.0)
    pace.take(20)
    assert not pace.allows(1, 0.05)
    assert pace.allows(5, 0.5)


def test_time_without_samples_saves_up_no_more_than_a_burst() -> None:
    pace = Pace(10.0, burst=20, now_s=0.0)
    assert not pace.allows(21, 1000.0)
    assert pace.allows(20, 1000.0)


def test_asking_takes_nothing() -> None:
    pace = Pace(10.0, burst=20, now_s=0.0)
    assert pace.allows(20, 0.0)
    assert pace.allows(20, 0.0)


def test_sensors_are_let_in_together_or_not_at_all() -> None:
    sensors = [
        ModalitySpec(name="torso", length=50, channels=1, rate_hz=25.0),
        ModalitySpec(name="age", length=1, channels=1, rate_hz=0.0),
    ]
    paces = Paces(sensors, speed=2.0, now_s=0.0)
    for _ in range(2):
        with pytest.raises(ShedError, match="'torso' may send 50 samples per second and 100") as no:
            paces.admit({"age": 1, "torso": 101}, 0.0)
    assert no.value.reason == "pace"
    paces.admit({"age": 2, "torso": 100}, 0.0)
    with pytest.raises(ShedError, match="'age'"):
        paces.admit({"age": 1}, 0.0)
