"""Lining up sensors: clocks, gaps, jitter and silence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.errors import WrongFieldError
from app.streaming.windower import Missed, Pushed, Window, Windower
from sentryfuse.spec import ModalitySpec

TORSO = ModalitySpec(name="torso", length=50, channels=2, rate_hz=25.0)
HEART = ModalitySpec(name="heart", length=2, channels=1, rate_hz=1.0)
AGE = ModalitySpec(name="age", length=1, channels=1, rate_hz=0.0)


def windower(*modalities: ModalitySpec, hop_s: float = 1.0, most: int = 8) -> Windower:
    silence = {m.name: 2.0 for m in modalities}
    return Windower(modalities, hop_s=hop_s, silence_s=silence, most_windows=most)


def samples(
    modality: ModalitySpec, count: int, first: int = 0
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    column = np.arange(first, first + count, dtype=np.float32)
    return np.repeat(column[:, None], modality.channels, axis=1)


def push(
    stream: Windower, modality: ModalitySpec, count: int, at_s: float | None, **how: float
) -> Pushed:
    now_s = how.get("now_s", 0.0)
    first = int(how.get("first", 0))
    return stream.push({modality.name: samples(modality, count, first)}, first_s=at_s, now_s=now_s)


def only(pushed: Pushed) -> Window:
    (window,) = pushed.closed
    assert isinstance(window, Window)
    return window


def test_a_window_closes_when_the_slowest_sensor_has_come_that_far() -> None:
    stream = windower(TORSO, HEART)
    assert push(stream, TORSO, 50, 0.0).closed == ()
    assert push(stream, HEART, 1, 0.0).closed == ()
    window = only(push(stream, HEART, 1, 1.0))
    assert {name: rows.shape for name, rows in window.rows.items()} == {
        "torso": (1, 50, 2),
        "heart": (1, 2, 1),
    }
    assert (window.number, window.start_s, window.end_s) == (1, 0.0, 2.0)


def test_sensors_with_different_window_lengths_end_together() -> None:
    short = ModalitySpec(name="short", length=10, channels=1, rate_hz=25.0)
    stream = windower(TORSO, short)
    window = only(
        stream.push({m.name: samples(m, 50) for m in (TORSO, short)}, first_s=7.0, now_s=0)
    )
    assert window.rows["short"][0, :, 0].tolist() == [*range(40, 50)]
    assert window.rows["torso"][0, :, 0].tolist() == [*range(50)]


def test_a_lost_sample_leaves_the_sensor_out_until_a_whole_window_has_come_again() -> None:
    stream = windower(TORSO, HEART)
    stream.push({"torso": samples(TORSO, 50), "heart": samples(HEART, 2)}, first_s=0.0, now_s=0)
    present = []
    for second in range(2, 8):
        at_s = second + (0.04 if second == 3 else 0)
        count = 24 if second == 3 else 25
        push(stream, TORSO, count, at_s)
        window = only(push(stream, HEART, 1, float(second)))
        present.append((window.end_s, [*window.rows]))
    whole, rest = ["torso", "heart"], ["heart"]
    assert present == [(3, whole), (4, rest), (5, rest), (6, whole), (7, whole), (8, whole)]


def test_jitter_of_less_than_half_a_period_is_no_gap() -> None:
    stream, rng = windower(TORSO), np.random.default_rng(0)
    closed = []
    for k in range(200):
        at_s = k / 25 + 0.24 * rng.uniform(-1, 1) / 25
        closed += push(stream, TORSO, 1, at_s, first=k).closed
    assert all(isinstance(window, Window) for window in closed)
    assert len(closed) == 7


def test_a_sensor_at_another_rate_than_the_model_knows_is_absent() -> None:
    stream = windower(TORSO, HEART)
    present = set()
    for k in range(300):
        present.update(
            *(w.rows for w in push(stream, TORSO, 1, k * 0.048).closed if isinstance(w, Window))
        )
        if k % 25 == 0:
            present.update(
                *(w.rows for w in push(stream, HEART, 1, k / 25).closed if isinstance(w, Window))
            )
    assert present == {"heart"}


def test_duplicates_and_samples_out_of_order_are_dropped_and_counted() -> None:
    stream = windower(TORSO)
    push(stream, TORSO, 30, 0.0)
    pushed = push(stream, TORSO, 30, 20 / 25, first=20)
    assert pushed.late == {"torso": 10}
    assert only(pushed).rows["torso"][0, :, 0].tolist() == [*range(50)]
    assert push(stream, TORSO, 25, 0.0).late == {"torso": 25}


def test_a_clock_that_leaps_ahead_begins_anew_and_numbers_go_on() -> None:
    stream = windower(TORSO)
    push(stream, TORSO, 60, 0.0)
    pushed = push(stream, TORSO, 50, 1.7e9)
    assert pushed.jumped
    window = only(pushed)
    assert (window.number, window.start_s, window.end_s) == (2, 1.7e9, 1.7e9 + 2)


def test_a_clock_that_went_back_is_refused() -> None:
    stream = windower(TORSO)
    push(stream, TORSO, 60, 1.7e9)
    with pytest.raises(WrongFieldError, match="t is 5, but the stream is at"):
        push(stream, TORSO, 25, 5.0)
    assert only(push(stream, TORSO, 25, 1.7e9 + 2.4)).number == 2


@pytest.mark.parametrize("first", [0.0, None])
def test_a_stream_has_one_kind_of_clock(first: float | None) -> None:
    stream = windower(TORSO)
    push(stream, TORSO, 1, first)
    with pytest.raises(WrongFieldError, match="t "):
        push(stream, TORSO, 1, 0.04 if first is None else None)


def test_while_all_are_silent_no_window_is_lost_without_a_word() -> None:
    stream = windower(TORSO)
    push(stream, TORSO, 50, 0.0)
    missed = push(stream, TORSO, 25, 22.0).closed
    assert missed == (Missed(2, 21, "no_sensor"), Missed(22, 22, "no_sensor"))
    window = only(push(stream, TORSO, 25, 23.0))
    assert (window.number, window.start_s, window.end_s) == (23, 22.0, 24.0)


def test_of_too_many_windows_at_once_the_newest_are_cut() -> None:
    stream = windower(TORSO, hop_s=0.04, most=3)
    missed, *windows = push(stream, TORSO, 100, 0.0).closed
    assert missed == Missed(1, 48, "behind")
    assert [w.number for w in windows if isinstance(w, Window)] == [49, 50, 51]


def test_a_value_without_rate_stays_and_is_never_waited_for() -> None:
    stream = windower(TORSO, AGE)
    assert [*only(push(stream, TORSO, 50, 0.0)).rows] == ["torso"]
    assert stream.push({"age": samples(AGE, 1, 42)}, first_s=None, now_s=0).closed == ()
    for second in (2.0, 3.0):
        assert only(push(stream, TORSO, 25, second)).rows["age"].tolist() == [[[42]]]


def test_the_end_closes_what_waits_for_a_sensor_that_lags() -> None:
    stream = windower(TORSO, HEART)
    push(stream, HEART, 1, 0.0)
    assert push(stream, TORSO, 60, 0.0).closed == ()
    (window,) = stream.finish(0.0)
    assert isinstance(window, Window)
    assert [*window.rows] == ["torso"]


def test_without_times_a_sensor_may_come_in_late_bursts_from_a_clock_that_drifts() -> None:
    stream, rng = windower(TORSO, HEART), np.random.default_rng(1)
    arrivals = [(0.985 * k / 25 + abs(rng.normal(0, 0.2)), TORSO) for k in range(25, 10_000, 25)]
    arrivals += [(k + abs(rng.normal(0, 0.05)), HEART) for k in range(1, 394)]
    windows = []
    for now_s, modality in sorted(arrivals, key=lambda a: a[0]):
        count = 25 if modality is TORSO else 1
        windows += push(stream, modality, count, None, now_s=now_s).closed
    assert len(windows) >= 385
    later = windows[1:]  # the sensors do not begin at the same time
    assert all(isinstance(w, Window) and len(w.rows) == 2 for w in later)


def test_without_times_a_sensor_that_paused_is_absent_and_then_back() -> None:
    stream = windower(TORSO, HEART)
    present = []
    for second in range(1, 30):
        closed: list[Window | Missed] = []
        if not 10 < second <= 15:
            closed += push(stream, TORSO, 25, None, now_s=float(second)).closed
        closed += push(stream, HEART, 1, None, now_s=second + 0.001).closed
        present += [(math.ceil(w.end_s), len(w.rows)) for w in closed if isinstance(w, Window)]
    assert [end for end, _ in present] == [*range(2, 30)]
    assert {end for end, sensors in present if sensors == 1} == {*range(11, 17)}
