"""Getting ready takes time rather than power that is not there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

_LONGEST_STEP_S = 1.0


class StartPace:
    """Rests between the steps of getting ready so that their mean power keeps the node's cap.

    What was spent before it was made (the interpreter, imports) is a debt that is paid first.

    Args:
        room_w: What the cap leaves above idle now.
        price_w: Power of a busy core.
        clock: Monotone seconds.
        cpu_clock: CPU seconds of the process since it began.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        room_w: Callable[[], float],
        price_w: Callable[[], float],
        *,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._room_w = room_w
        self._price_w = price_w
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._sleep = sleep
        self._now_s = clock()
        self._cpu_s = 0.0
        self._debt_j = 0.0
        self.over = False
        """Whether the service is ready: then the power gate reckons with what is beside it."""

    async def rest(self, least_s: float) -> None:
        """Wait for so long, and while getting ready until the energy of the steps so far is paid.

        What the process does while it rests (probes, above all) does not count: it would delay
        readiness for as long as somebody asks for it.
        """
        if self.over:
            await self._sleep(least_s)
            return
        self._debt_j += self._price_w() * (self._cpu_clock() - self._cpu_s)
        left_s = least_s
        while True:
            room_w = max(self._room_w(), 1e-3)
            due_s = max(self._unpaid_j(room_w) / room_w, left_s)
            step_s = min(due_s, _LONGEST_STEP_S)  # there may be more room by then
            await self._sleep(step_s)
            left_s -= step_s
            if step_s == due_s or self.over:
                break
        self._unpaid_j(max(self._room_w(), 1e-3))
        self._cpu_s = self._cpu_clock()

    def _unpaid_j(self, room_w: float) -> float:
        """What is left of the debt now that time has passed."""
        now_s = self._clock()
        self._debt_j = max(self._debt_j - room_w * (now_s - self._now_s), 0.0)
        self._now_s = now_s
        return self._debt_j
