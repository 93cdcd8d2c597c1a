"""What is done four times a second, off the path of requests: meter, books, cap, estimates."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from app.answering.overhead import CoreOverhead
from app.inference.pump import Pump, Totals
from app.power.cap import CapControl
from app.power.frequency import FrequencyControl
from app.power.node import Node

logger = logging.getLogger(__name__)

_PERIOD_S = 0.25
_BATTERY_PERIOD_S = 10.0


class Upkeep:
    """Keeps the machine's figures up to date. Lives on the event loop of the service.

    Args:
        pump: Knows what ran.
        node: Reads the meter and keeps the books.
        cap: Follows the schedule of the power cap.
        received: How many requests came so far.
        shares_cores: Whether the event loop runs on the cores of inference.
        frequency: Follows the work with the processor's frequency; None leaves it alone.
        battery_ratio: Reads the battery's charge.
        clock: Monotone seconds.
        loop_cpu_clock: CPU seconds of the event loop's thread.
    """

    def __init__(
        self,
        pump: Pump,
        node: Node,
        cap: CapControl,
        *,
        received: Callable[[], int],
        shares_cores: bool,
        frequency: FrequencyControl | None,
        battery_ratio: Callable[[], float | None],
        clock: Callable[[], float],
        loop_cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._pump = pump
        self._node = node
        self._cap = cap
        self._received = received
        self._shares_cores = shares_cores
        self._frequency = frequency
        self._battery_ratio = battery_ratio
        self._clock = clock
        self._loop_cpu_clock = loop_cpu_clock
        self._core_overhead = CoreOverhead()
        self._seen = Totals()
        self._seen_received = 0
        self._seen_loop_cpu_s = 0.0
        self._battery_read_s = float("-inf")

    async def run(self) -> None:
        """Go on until cancelled; a turn that fails is logged and the next one comes."""
        self._seen_loop_cpu_s = self._loop_cpu_clock()
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await self._look_at_battery()
                self.turn()
            except Exception:
                logger.exception("upkeep failed")

    def turn(self) -> None:
        """Take in everything once."""
        seen, self._seen = self._seen, self._pump.totals()
        self._node.tick(self._seen.energy_j)
        self.keep_cap()
        self._update_core_overhead()
        if self._frequency is not None:
            self._frequency.update(
                self._seen.windows - seen.windows,
                self._seen.pruned - seen.pruned,
                self._clock(),
            )

    def keep_cap(self) -> None:
        """Keep the cap that holds now."""
        if self._cap.update():
            self._pump.turn()

    def close(self) -> None:
        """Put the processor's frequency back and let go of the meter."""
        if self._frequency is not None:
            self._frequency.close()
        self._node.meter.close()

    def _update_core_overhead(self) -> None:
        if not self._shares_cores:
            return
        received, cpu_s = self._received(), self._loop_cpu_clock()
        self._core_overhead = self._core_overhead.updated(
            cpu_s - self._seen_loop_cpu_s, received - self._seen_received
        )
        self._seen_received, self._seen_loop_cpu_s = received, cpu_s
        self._pump.scheduler.overhead_core_s = self._core_overhead.mean_s

    async def _look_at_battery(self) -> None:
        now_s = self._clock()
        if self._cap.asks_battery and now_s - self._battery_read_s >= _BATTERY_PERIOD_S:
            self._battery_read_s = now_s
            self._cap.battery_ratio = await asyncio.to_thread(self._battery_ratio)
