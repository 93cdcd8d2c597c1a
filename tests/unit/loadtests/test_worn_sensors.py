"""Sensors of one wearer that come and go."""

from __future__ import annotations

import random

import pytest

from loadtests.worn_sensors import WornSensors

NAMES = ("torso", "arm", "leg")


def worn(up_s: float, down_s: float, seed: int = 0) -> WornSensors:
    return WornSensors(NAMES, up_s=up_s, down_s=down_s, chance=random.Random(seed), now_s=100.0)


def test_all_sensors_are_there_at_the_start_and_never_none() -> None:
    sensors = worn(up_s=0.2, down_s=5.0)
    assert sensors.at(100.0) == NAMES
    seen = {sensors.at(100.0 + t / 10) for t in range(2000)}
    assert () not in seen
    assert len(seen) > 3


def test_sensors_are_away_for_their_share_of_the_time() -> None:
    sensors = worn(up_s=3.0, down_s=1.0)
    counts = [len(sensors.at(100.0 + t / 10)) for t in range(60_000)]
    assert sum(counts) / len(counts) / len(NAMES) == pytest.approx(0.75, abs=0.05)


def test_sensors_that_are_never_away_stay() -> None:
    sensors = worn(up_s=0.1, down_s=0.0)
    assert {sensors.at(100.0 + t) for t in range(100)} == {NAMES}


def test_a_long_silence_is_caught_up_with() -> None:
    assert worn(up_s=1.0, down_s=1.0).at(100_000.0)
