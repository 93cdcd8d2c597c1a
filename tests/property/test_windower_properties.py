"""What holds for every stream of samples, however they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.streaming.windower import Missed, Window, Windower
from sentryfuse.spec import ModalitySpec

quick = settings(deadline=None)
slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SENSORS = (
    ModalitySpec(name="fast", length=20, channels=2, rate_hz=10.0),
    ModalitySpec(name="slow", length=4, channels=1, rate_hz=2.0),
    ModalitySpec(name="short", length=5, channels=1, rate_hz=10.0),
)
LENGTH = {s.name: s.length for s in SENSORS}
RATE = {s.name: s.rate_hz for s in SENSORS}
SILENCE_S = 1.0
MOST = 50


@dataclass(frozen=True)
class Chunk:
    """Some samples of one sensor in one message."""

    name: str
    count: int
    at_s: float


def rows(name: str, first: int, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Samples that hold their own number, so that a test can see which ones a window has."""
    channels = next(s.channels for s in SENSORS if s.name == name)
    return np.tile(np.arange(first, first + count, dtype=np.float32)[:, None], (1, channels))


def windower(hop_s: float = 0.5) -> Windower:
    silence = dict.fromkeys(LENGTH, SILENCE_S)
    return Windower(SENSORS, hop_s=hop_s, silence_s=silence, most_windows=MOST)


names = st.sampled_from([s.name for s in SENSORS])
wild = st.lists(
    st.builds(Chunk, names, st.integers(1, 40), st.floats(-100, 300, allow_nan=False)),
    max_size=40,
)


def pushed_all(stream: Windower, chunks: list[Chunk]) -> list[Window | Missed]:
    """Push what a stream takes; samples of another clock are refused."""
    closed: list[Window | Missed] = []
    for chunk in chunks:
        if chunk.at_s >= stream.head_s - stream.jump_s:
            samples = {chunk.name: rows(chunk.name, 0, chunk.count)}
            closed += stream.push(samples, first_s=chunk.at_s, now_s=0.0).closed
    return closed


@quick
@given(chunks=wild, hop_s=st.sampled_from([0.05, 0.5, 3.0]))
def test_every_window_holds_exactly_its_length_of_each_sensor(
    chunks: list[Chunk], hop_s: float
) -> None:
    for window in pushed_all(windower(hop_s), chunks):
        if isinstance(window, Window):
            assert window.rows
            assert all(len(r[0]) == LENGTH[name] for name, r in window.rows.items())


@quick
@given(chunks=wild, hop_s=st.sampled_from([0.05, 0.5, 3.0]))
def test_windows_are_numbered_without_a_hole(chunks: list[Chunk], hop_s: float) -> None:
    stream = windower(hop_s)
    closed = [*pushed_all(stream, chunks), *stream.finish(0.0)]
    ranges = [(c.number, c.number) if isinstance(c, Window) else (c.first, c.last) for c in closed]
    due = 1
    for first, last in ranges:
        assert first == due
        assert last >= first
        due = last + 1


@quick
@given(chunks=wild, hop_s=st.sampled_from([0.05, 0.5]))
def test_memory_holds_a_window_and_what_others_are_waited_for(
    chunks: list[Chunk], hop_s: float
) -> None:
    stream = windower(hop_s)
    pushed_all(stream, chunks)
    most = sum(
        RATE[name] * (1.05 * LENGTH[name] / RATE[name] + SILENCE_S + hop_s) + 6 for name in LENGTH
    )
    # A message may go further back than a sensor has come; all of it is taken.
    assert stream.kept <= most + 2 * 40 * len(LENGTH)


@quick
@given(chunks=wild)
def test_samples_are_never_reordered(chunks: list[Chunk]) -> None:
    stream, sent = windower(), dict.fromkeys(LENGTH, 0)
    for chunk in chunks:
        if chunk.at_s < stream.head_s - stream.jump_s:
            continue
        samples = {chunk.name: rows(chunk.name, sent[chunk.name], chunk.count)}
        sent[chunk.name] += chunk.count
        for window in stream.push(samples, first_s=chunk.at_s, now_s=0.0).closed:
            if isinstance(window, Window):
                assert all((np.diff(r[0, :, 0]) > 0).all() for r in window.rows.values())


@st.composite
def paced(draw: st.DrawFn) -> list[Chunk]:
    """Half a minute of all sensors in chunks of any size, each chunk when its last one is taken."""
    chunks = []
    for name, rate in RATE.items():
        sent = 0
        while sent < 30 * rate:
            count = min(draw(st.integers(1, max(1, int(rate * SILENCE_S * 0.5)))), int(30 * rate))
            chunks.append(Chunk(name, count, sent / rate))
            sent += count
    return sorted(chunks, key=lambda c: (c.at_s + c.count / RATE[c.name], c.name))


def numbers_of(window: Window) -> Mapping[str, list[int]]:
    return {name: r[0, :, 0].astype(int).tolist() for name, r in window.rows.items()}


@slow
@given(chunks=paced(), hop_s=st.sampled_from([0.5, 1.0, 2.0]))
def test_windows_do_not_depend_on_how_the_samples_were_chunked(
    chunks: list[Chunk], hop_s: float
) -> None:
    stream = windower(hop_s)
    found: list[Window] = []
    for chunk in chunks:
        samples = {chunk.name: rows(chunk.name, round(chunk.at_s * RATE[chunk.name]), chunk.count)}
        for window in stream.push(samples, first_s=chunk.at_s, now_s=0.0).closed:
            assert isinstance(window, Window)
            found.append(window)
    assert len(found) >= (30 - stream.longest_s - 1.5) / hop_s
    for window in found:
        end_s = stream.longest_s + (window.number - 1) * hop_s
        assert window.end_s == end_s
        for name, numbers in numbers_of(window).items():
            last = round(end_s * RATE[name])
            assert numbers == [*range(last - LENGTH[name], last)]
        assert list(window.rows) == list(LENGTH)


@slow
@given(chunks=paced(), died_s=st.floats(3.0, 8.0), away_s=st.floats(2.0, 15.0), victim=names)
def test_a_silent_sensor_is_left_out_within_its_timeout_and_comes_back_after_a_whole_window(
    chunks: list[Chunk], died_s: float, away_s: float, victim: str
) -> None:
    stream, back_s, hop_s = windower(0.5), died_s + away_s, 0.5
    period_s, duration_s = 1 / RATE[victim], LENGTH[victim] / RATE[victim]
    for chunk in chunks:
        end_s = chunk.at_s + chunk.count / RATE[chunk.name]
        if chunk.name == victim and end_s > died_s and chunk.at_s < back_s:
            continue
        samples = {chunk.name: rows(chunk.name, 0, chunk.count)}
        for window in stream.push(samples, first_s=chunk.at_s, now_s=0.0).closed:
            assert isinstance(window, Window)
            assert end_s <= window.end_s + SILENCE_S + hop_s + 1.5, "closed within the timeout"
            dead = died_s + 2 * period_s < window.end_s < back_s + duration_s
            if dead:
                assert victim not in window.rows
            if window.end_s > back_s + duration_s + 1.0 or window.end_s < died_s - 1.0:
                assert victim in window.rows
            assert {*LENGTH} - {victim} <= {*window.rows}, "the others stay"
