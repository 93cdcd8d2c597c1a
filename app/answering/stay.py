"""The time between a request's last byte and its answer, as the crowd sees it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from app.errors import DeadlineError, ShedError
from app.scheduling.crowd import Crowd


class Stay:
    """Counts a request as inside while a block runs.

    Args:
        crowd: Those who are inside.
        clock: Monotone seconds.
    """

    __slots__ = ("_clock", "_crowd", "in_time")

    def __init__(self, crowd: Crowd, clock: Callable[[], float]) -> None:
        self._crowd = crowd
        self._clock = clock
        self.in_time: bool | None = None
        """Whether the request was answered in time; to be said before the block ends."""

    def __enter__(self) -> Stay:
        self._crowd.enter(self._clock())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, DeadlineError | ShedError):
            self.in_time = False
        self._crowd.leave(self._clock(), in_time=self.in_time)
