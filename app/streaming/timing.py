"""When samples were taken: as their sender says, or else by when they came."""

from __future__ import annotations

from app.streaming.track import Track

_GAIN = 0.1
_DRIFT = 0.04
"""Most that a sensor's clock is thought to be off; within what a track takes for one rate."""


def arrival_time(track: Track, samples: int, now_s: float) -> float:
    """Guess when the first of some samples that came now was taken.

    Samples of one sensor come in order and without loss, but late and in bursts. So they follow
    on the ones before, at the sensor's own rate, and are drawn towards the time of their arrival
    only as fast as a clock can drift, unless the sensor paused for longer than its silence.

    Args:
        track: The sensor.
        samples: How many came; the last was taken just now, as far as anybody knows.
        now_s: Time of arrival, and not before any sample taken so far.
    """
    guess_s = now_s - samples * track.period_s
    off_s = guess_s - track.due_s
    if off_s > track.silence_s:  # also when it is the first of its sensor
        return guess_s
    most_s = min(_DRIFT * samples, 0.4) * track.period_s
    return track.due_s + max(-most_s, min(_GAIN * off_s, most_s))
