"""The samples of one sensor, and its window that ends at a given time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sentryfuse.spec import ModalitySpec

FloatArray = NDArray[np.float32]

_RATE_TOLERANCE = 0.05
"""How far a sensor may be off its rate, over a whole window."""


class Track:
    """Samples of one sensor in the order of their times, no further back than anybody needs.

    A sample is expected one period after the one before it. One that comes within half a period
    of that goes on with the run; a later one begins a new run, since something is missing between
    them; an earlier one is there already. Only an unbroken run makes a window.

    Args:
        modality: The sensor; its rate must be above 0.
        silence_s: How far it may fall behind the others before they go on without it.
    """

    def __init__(self, modality: ModalitySpec, silence_s: float) -> None:
        self.name = modality.name
        self.silence_s = silence_s
        self.period_s = 1 / modality.rate_hz
        self.length = modality.length
        self.duration_s = modality.length * self.period_s
        self.due_s = -math.inf
        """When its next sample should have been taken; minus infinity before the first."""
        self._rows: FloatArray = np.empty((0, modality.channels), np.float32)
        self._times_s: NDArray[np.float64] = np.empty(0)
        self._run: NDArray[np.int64] = np.empty(0, np.int64)
        """How many samples of the same run came before each."""

    def __len__(self) -> int:
        return len(self._times_s)

    @property
    def reach_s(self) -> float:
        """The latest end of a window that no sample to come can belong to."""
        return self.due_s + self.period_s / 2

    def add(self, rows: FloatArray, first_s: float) -> int:
        """Take samples ``[time, channels]``, the first taken at ``first_s``.

        Returns:
            How many were dropped because samples of their time are there already.
        """
        times_s = first_s + self.period_s * np.arange(len(rows))
        late = int(np.searchsorted(times_s, self.due_s - self.period_s / 2))
        rows, times_s = rows[late:], times_s[late:]
        if not len(rows):
            return late
        goes_on = len(self) and times_s[0] <= self.due_s + self.period_s / 2
        before = int(self._run[-1]) + 1 if goes_on else 0
        self._rows = np.concatenate((self._rows, rows))
        self._times_s = np.concatenate((self._times_s, times_s))
        self._run = np.concatenate((self._run, before + np.arange(len(rows))))
        self.due_s = float(times_s[-1]) + self.period_s
        return late

    def window(self, end_s: float) -> FloatArray | None:
        """Return the window ``[1, length, channels]`` that ends at a time.

        Returns:
            None if a sample is missing, the newest is too old, or the rate is wrong.
        """
        stop = int(np.searchsorted(self._times_s, end_s - self.period_s / 2))
        start = stop - self.length
        if start < 0 or self._run[stop - 1] < self.length - 1:
            return None
        if self._times_s[stop - 1] < end_s - 2 * self.period_s:
            return None
        span_s = self._times_s[stop - 1] - self._times_s[start]
        off_s = abs(span_s - (self.length - 1) * self.period_s)
        if off_s > _RATE_TOLERANCE * self.duration_s + self.period_s:
            return None
        return self._rows[None, start:stop].copy()

    def first_from(self, time_s: float) -> float:
        """Return when the first sample not before a time was taken; infinity if there is none."""
        index = int(np.searchsorted(self._times_s, time_s))
        return float(self._times_s[index]) if index < len(self) else math.inf

    def forget(self, end_s: float) -> None:
        """Drop what no window that ends at this time or later can need."""
        slack_s = _RATE_TOLERANCE * self.duration_s + 4 * self.period_s
        index = int(np.searchsorted(self._times_s, end_s - self.duration_s - slack_s))
        if index:
            self._rows = self._rows[index:].copy()
            self._times_s = self._times_s[index:].copy()
            self._run = self._run[index:].copy()
