"""The machine as a plan for one request sees it: what variants cost now, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.answering.ask import Ask
from app.answering.overhead import Overhead
from app.inference.lineup import Lineup
from app.scheduling import NodeState, VariantCost
from app.scheduling.scheduler import Scheduler

Options = Sequence[VariantCost]


class Outlook:
    """Reads the state of the machine off the scheduler that serves it.

    Args:
        scheduler: Knows load, slow-down and cap.
        price: Joules of one CPU second.
        clock: Monotone seconds.
    """

    def __init__(
        self, scheduler: Scheduler, *, price: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        self.scheduler = scheduler
        self._price = price
        self._clock = clock

    @property
    def retry_after_s(self) -> float:
        """When what waits now is served."""
        return self.scheduler.retry_after_s(self._clock())

    def spent_s(self, ask: Ask) -> float:
        """How much of its latency budget a request has spent."""
        return self._clock() - ask.received_s

    def reading_j(self, ask: Ask) -> float:
        """Energy that reading a request took."""
        return ask.parse_cpu_s * self._price()

    def options(self, ask: Ask, lineup: Lineup) -> Options:
        """Every ratio for a request, in memory or not; energy as of now, with reading it."""
        return self.at_present(lineup.options(ask.windows.batch), spent_j=self.reading_j(ask))

    def at_present(self, options: Options, *, spent_j: float = 0.0) -> Options:
        """Options that are as hungry as the machine is now, on top of what is spent already."""
        factor = self.scheduler.estimator.energy.mean
        return [replace(o, energy_j=factor * o.energy_j + spent_j) for o in options]

    def state(self, *, spent_s: float) -> NodeState:
        """The node for a request that has already spent so much of its latency budget."""
        scheduler = self.scheduler
        return NodeState(
            idle_power_w=scheduler.gate.idle_power_w,
            arrival_rate_hz=scheduler.arrivals.rate_hz(self._clock()),
            power_cap_w=scheduler.gate.cap_w,
            slowdown=scheduler.estimator.latency.mean,
            slowdown_margin=scheduler.estimator.latency_margin,
            elapsed_s=spent_s + scheduler.overhead_s,
        )

    def idle_state(self, *, reading_s: float) -> NodeState:
        """The same node, were this its only request and nothing slowed it down.

        Args:
            reading_s: CPU time that reading the request takes.
        """
        overhead_s = min(self.scheduler.overhead_s, Overhead().allowance_s)
        state = self.state(spent_s=0.0)
        return replace(
            state,
            arrival_rate_hz=0.0,
            slowdown=min(state.slowdown, 1.0),
            slowdown_margin=0.0,
            elapsed_s=reading_s + overhead_s,
        )
