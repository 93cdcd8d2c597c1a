"""Whether the process is alive, told by what moves in it: the event loop and its inferences."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What moves, as of one moment."""

    loop_s: float
    """That the event loop is late for its next round; 0 if it is on time."""
    inference_s: float
    """That the inference which runs longest has been running; 0 if none runs."""
    threads_alive: bool
    """Whether every inference thread runs."""


def ailments(vitals: Vitals, *, stuck_s: float) -> tuple[str, ...]:
    """Say what only a restart would cure, one sentence each; nothing if all is well.

    Args:
        vitals: What moves.
        stuck_s: What takes longer than this will not come back.
    """
    found = []
    if not vitals.threads_alive:
        found.append("an inference thread has ended")
    if vitals.inference_s > stuck_s:
        found.append(f"an inference has been running for {vitals.inference_s:.0f} s")
    if vitals.loop_s > stuck_s:
        found.append(f"the event loop stood still for {vitals.loop_s:.0f} s")
    return tuple(found)


class Heartbeat:
    """Beats once a second while its event loop goes round.

    Args:
        clock: Monotone seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._beat_s = clock()

    @property
    def late_s(self) -> float:
        """Seconds that the next beat is overdue; 0 if it is not due yet."""
        return max(0.0, self._clock() - self._beat_s - _PERIOD_S)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat_s = self._clock()
            await asyncio.sleep(_PERIOD_S)
