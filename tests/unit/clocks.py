"""Time that passes when it is told to."""

from __future__ import annotations


class Clock:
    """A monotone clock, or CPU seconds, in a test's hands."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def pass_by(self, seconds: float) -> None:
        self.now_s += seconds
