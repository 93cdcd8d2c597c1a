"""Cuts the samples of several sensors into windows that end together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import WrongFieldError
from app.streaming.timing import arrival_time
from app.streaming.track import FloatArray, Track
from sentryfuse.spec import ModalitySpec

_ROUNDING = 1e-9
_LEAST_JUMP_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the sensors that were there had to say about one stretch of time."""

    number: int
    start_s: float
    end_s: float
    closed_s: float
    """When the samples that closed it came."""
    rows: Mapping[str, FloatArray]
    """``[1, length, channels]`` by sensor, in the model's order; never empty."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Windows, one after another, that are not answered."""

    first: int
    last: int
    reason: Literal["no_sensor", "behind"]
    """No sensor had a whole window; or too many at once, and newer ones matter more."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of some samples."""

    closed: tuple[Window | Missed, ...]
    """Without a hole in their numbers, which begin at 1."""
    late: Mapping[str, int]
    """Samples by sensor that were dropped, their time being taken already."""
    jumped: bool = False
    """The sender's clock leapt ahead, so everything began anew."""


class Windower:
    """Lines up the sensors of one stream.

    Window ``n`` ends at the first sample's time + the longest sensor's window + (n - 1) hops, for
    every sensor alike. It closes as soon as every sensor has come that far, or has fallen behind
    the furthest one by more than its silence. All is driven by the samples: there are no timers.

    Args:
        modalities: The model's sensors.
        hop_s: From the end of one window to the end of the next.
        silence_s: How far each sensor may fall behind before the others go on without it.
        most_windows: Most windows of one push that are cut; of more, the newest are.
    """

    def __init__(
        self,
        modalities: Sequence[ModalitySpec],
        *,
        hop_s: float,
        silence_s: Mapping[str, float],
        most_windows: int,
    ) -> None:
        self._order = [m.name for m in modalities]
        self._tracks = _tracks(modalities, silence_s)
        self._constants: dict[str, FloatArray] = {}
        self._hop_s = hop_s
        self._most_windows = most_windows
        self.longest_s = max(track.duration_s for track in self._tracks.values())
        """Time that a window covers."""
        waits_s = max(track.silence_s for track in self._tracks.values())
        self.jump_s = max(_LEAST_JUMP_S, 4 * (self.longest_s + waits_s))
        """A time further ahead than this is another clock's."""
        self._modalities = modalities
        self._silence_s = silence_s
        self._stamped: bool | None = None
        self._origin_s = math.nan
        self._next = 1
        self._base = 1
        """The first window since the origin."""

    @property
    def kept(self) -> int:
        """Samples in memory."""
        return sum(len(track) for track in self._tracks.values())

    def push(
        self, samples: Mapping[str, FloatArray], *, first_s: float | None, now_s: float
    ) -> Pushed:
        """Take what came in one message.

        Args:
            samples: ``[time, channels]`` by sensor; a sensor without rate has one whole value.
            first_s: When the first of each was taken, on the sender's clock, or None if it does
                not say; the first message decides which of them a stream does.
            now_s: When they came; stands in for their time where the sender does not say.

        Raises:
            WrongFieldError: The time is missing, not expected, or another clock's; nothing
                was taken.
        """
        timed = {name: rows for name, rows in samples.items() if name in self._tracks}
        if timed:
            self._check_clock(first_s)
        self._constants |= {n: rows[None] for n, rows in samples.items() if n not in timed}
        jumped = bool(timed) and self._jumps(first_s)
        closed = [*self._restart(now_s)] if jumped else []
        head_s = max(now_s, self.head_s)
        at_s = {
            name: arrival_time(self._tracks[name], len(rows), head_s)
            if first_s is None
            else first_s
            for name, rows in timed.items()
        }
        if at_s and math.isnan(self._origin_s):
            self._origin_s = min(at_s.values())
        dropped = {name: self._tracks[name].add(rows, at_s[name]) for name, rows in timed.items()}
        closed += self._close(self._watermark_s(), now_s)
        late = {name: count for name, count in dropped.items() if count}
        return Pushed(tuple(closed), late, jumped)

    def finish(self, now_s: float) -> tuple[Window | Missed, ...]:
        """Close what would wait for sensors that lag: no more samples will come."""
        furthest_s = max(track.reach_s for track in self._tracks.values())
        return tuple(self._close(furthest_s, now_s))

    @property
    def head_s(self) -> float:
        """How far the furthest sensor has come; minus infinity before the first sample."""
        return max(track.due_s for track in self._tracks.values())

    def _jumps(self, first_s: float | None) -> bool:
        head_s = self.head_s
        return first_s is not None and -math.inf < head_s < first_s - self.jump_s

    def _check_clock(self, first_s: float | None) -> None:
        if self._stamped is None:
            self._stamped = first_s is not None
        if self._stamped != (first_s is not None):
            wrong = (
                "must come with every message of this stream"
                if self._stamped
                else ("can't come in a stream that began without it")
            )
            raise WrongFieldError(f"t {wrong}", field="t")
        if first_s is not None and first_s < self.head_s - self.jump_s:
            raise WrongFieldError(
                f"t is {first_s:.6g}, but the stream is at {self.head_s:.6g}: samples may be "
                f"{self.jump_s:g} s behind; open a new stream for a new clock",
                field="t",
                expected=f"at least {self.head_s - self.jump_s:.6g}",
                received=f"{first_s:.6g}",
            )

    def _restart(self, now_s: float) -> Iterator[Window | Missed]:
        yield from self.finish(now_s)
        self._tracks = _tracks(self._modalities, self._silence_s)
        self._origin_s, self._base = math.nan, self._next

    def _watermark_s(self) -> float:
        """Up to when every sensor that is still waited for has come."""
        head_s = self.head_s
        reach_s = [
            max(track.reach_s, self._origin_s)
            for track in self._tracks.values()
            if max(track.due_s, self._origin_s) >= head_s - track.silence_s
        ]
        return min(reach_s, default=head_s)

    def _end_s(self, number: int) -> float:
        return self._origin_s + self.longest_s + (number - self._base) * self._hop_s

    def _ended(self, time_s: float) -> int:
        """The last window that ends no later than a time."""
        hops = (time_s - self._origin_s - self.longest_s) / self._hop_s
        return self._base + math.floor(hops + _ROUNDING)

    def _close(self, watermark_s: float, now_s: float) -> Iterator[Window | Missed]:
        if math.isnan(self._origin_s):
            return
        last = self._ended(watermark_s)
        desert = self._ended(min(self._nobody_until_s(), watermark_s))
        if desert >= self._next:
            yield self._missed(desert, "no_sensor")
        if last - self._next >= self._most_windows:
            yield self._missed(last - self._most_windows, "behind")
        while self._next <= last:
            yield self._cut(now_s)
        for track in self._tracks.values():
            track.forget(self._end_s(self._next))

    def _nobody_until_s(self) -> float:
        """The time before which no sample that came since the next window's end can matter."""
        end_s = self._end_s(self._next)
        return min(
            track.first_from(end_s - 2 * track.period_s) + track.period_s / 2
            for track in self._tracks.values()
        )

    def _missed(self, last: int, reason: Literal["no_sensor", "behind"]) -> Missed:
        first, self._next = self._next, last + 1
        return Missed(first, last, reason)

    def _cut(self, now_s: float) -> Window | Missed:
        number = self._next
        end_s = self._end_s(number)
        found = {track.name: track.window(end_s) for track in self._tracks.values()}
        if all(rows is None for rows in found.values()):
            return self._missed(number, "no_sensor")
        found |= self._constants
        self._next = number + 1
        rows = {name: rows for name in self._order if (rows := found.get(name)) is not None}
        return Window(number, end_s - self.longest_s, end_s, now_s, rows)


def _tracks(modalities: Sequence[ModalitySpec], silence_s: Mapping[str, float]) -> dict[str, Track]:
    return {m.name: Track(m, silence_s[m.name]) for m in modalities if m.rate_hz > 0}
