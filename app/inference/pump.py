"""Owner of the cores: asks the scheduler what to run, runs it, and tells whoever waits."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.inference import batch
from app.inference.batch import Inputs, Run
from app.inference.lineup import Lineup
from app.inference.registry import Resident
from app.inference.workers import Worker, Workers
from app.scheduling.dispatch import Dispatch, Dropped, Refused
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Budget, Request
from app.telemetry.metrics import Metrics

_SOON_S = 0.0005  # the least that the timer waits: a clock may be a little ahead of the loop's


@dataclass(frozen=True, slots=True)
class Served:
    """What an inference gave one of its requests."""

    logits: NDArray[np.float32]
    """Of the request's own windows, ``[batch, classes]``."""
    request: Request
    dispatch: Dispatch
    run: Run
    """Of the whole batch."""
    inference_j: float
    """Own share of the batch's active energy, by windows."""
    reading_j: float
    """Active energy of reading the request, where that was not charged before."""


Outcome = Served | Dropped
"""What becomes of a request that was let in."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was let in."""

    id: int
    outcome: asyncio.Future[Outcome]


@dataclass(frozen=True, slots=True)
class Totals:
    """All inferences since the start."""

    energy_j: float = 0.0
    """Active energy, reading requests excluded."""
    windows: int = 0
    pruned: float = 0.0
    """Sum of the pruning ratios of the windows' variants."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the pump keeps of a request until it is over."""

    request: Request
    inputs: Inputs
    parse_cpu_s: float
    outcome: asyncio.Future[Outcome]


@dataclass(slots=True)
class _Batch:
    """A dispatch that runs, on one worker for each share of its rows."""

    dispatch: Dispatch
    resident: Resident
    entries: list[_Entry]
    outcomes: list[Run | Exception | None]
    """Of each share; None while it runs."""
    handing_cpu_s: float = 0.0
    """CPU time of handing it over: deciding, waking a worker, hearing of its end."""


class Pump:
    """Drives the scheduler and the worker threads; all methods run on one event loop.

    Work starts the moment that a core is free and something waits: when a request comes, when an
    inference ends, and when the power gate opens again. Nothing waits for company but what the
    scheduler holds back for the sake of joules. Yet while something runs, what the event loop has
    read in one go is planned in one go: were each request planned as it is read, those that came
    together would all run alone.

    Args:
        scheduler: Decides.
        workers: As many as the scheduler has cores.
        charge: Turns CPU seconds spent on requests into joules, and books them.
        metrics: Told of every inference.
        threads: Threads of one inference.
        clock: Monotone seconds.
        cpu_clock: CPU seconds of the calling thread.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        workers: Workers,
        *,
        charge: Callable[[float], float],
        metrics: Metrics,
        threads: int,
        clock: Callable[[], float],
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.scheduler = scheduler
        self._workers = workers
        self._charge = charge
        self._metrics = metrics
        self._threads = threads
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._ids = itertools.count()
        self._entries: dict[int, _Entry] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turns_soon = False
        self._energy_j = self._pruned = 0.0
        self._windows = 0

    @property
    def alive(self) -> bool:
        """Whether every worker thread runs."""
        return self._workers.alive

    @property
    def longest_s(self) -> float:
        """How long the inference has been running that runs longest; 0 if none runs."""
        return self._workers.longest_s

    def totals(self) -> Totals:
        """Return what ran so far."""
        return Totals(self._energy_j, self._windows, self._pruned)

    def start(self) -> None:
        """Start the worker threads."""
        self._workers.start()

    def submit(
        self,
        lineup: Lineup,
        inputs: Inputs,
        budget: Budget,
        *,
        received_s: float,
        parse_cpu_s: float,
        reading_j: float,
        permilles: frozenset[int] | None = None,
    ) -> Ticket | Refused:
        """Queue a request; it may be running when this returns.

        Args:
            lineup: What can be run for it.
            inputs: Its windows.
            budget: What it may spend.
            received_s: When its last byte was read.
            parse_cpu_s: CPU time spent on it and not charged to anybody yet.
            reading_j: Energy spent on it so far, which its budget has to pay for too.
            permilles: Ratios it may be given; None for all.
        """
        self._workers.tell()
        request = Request(
            id=next(self._ids),
            group=lineup,
            budget=budget,
            received_s=received_s,
            windows=len(next(iter(inputs.values()))),
            reading_j=reading_j,
            permilles=permilles,
        )
        idle = self.scheduler.idle
        refused = self.scheduler.submit(request, self._clock())
        if refused is not None:
            return refused
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._entries[request.id] = _Entry(request, inputs, parse_cpu_s, outcome)
        if idle:
            self.turn()
        elif not self._turns_soon:
            self._turns_soon = True
            asyncio.get_running_loop().call_soon(self._turn_soon)
        return Ticket(request.id, outcome)

    def waits(self, ticket: Ticket) -> bool:
        """Whether a request is still in the queue."""
        return ticket.id in self._entries

    def cancel(self, ticket: Ticket) -> None:
        """Forget a request, if it still waits: nobody wants its answer any more."""
        if self._entries.pop(ticket.id, None) is not None:
            self.scheduler.cancel(ticket.id)

    def turn(self) -> None:
        """Start all that can be started now."""
        began_cpu_s = self._cpu_clock()
        while (dispatch := self.scheduler.next(self._clock())) is not None:
            running = self._start(dispatch)
            ended_cpu_s = self._cpu_clock()
            running.handing_cpu_s += ended_cpu_s - began_cpu_s
            began_cpu_s = ended_cpu_s
        for dropped in self.scheduler.dropped():
            _settle(self._entries.pop(dropped.request.id), dropped)
        self._set_timer()

    def close(self) -> None:
        """Let running inferences finish; stop the threads and the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._workers.close()

    def _turn_soon(self) -> None:
        self._turns_soon = False
        self.turn()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_s = self.scheduler.wake_s
        if wake_s < math.inf:
            delay_s = max(wake_s - self._clock(), _SOON_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.turn)

    def _start(self, dispatch: Dispatch) -> _Batch:
        entries = [self._entries.pop(request.id) for request in dispatch.requests]
        lineup = entries[0].request.group
        assert isinstance(lineup, Lineup)
        resident = lineup.use(dispatch.offer.option.permille)
        inputs = [entry.inputs for entry in entries]
        shares = [inputs]
        if dispatch.cores > 1:
            shares = [[s] for s in batch.share_out(batch.assemble(inputs), dispatch.cores)]
        running = _Batch(dispatch, resident, entries, [None] * len(shares))
        for number, share in enumerate(shares):
            worker = self._workers.take()
            worker.run(
                partial(
                    batch.run,
                    resident.variant,
                    share,
                    threads=self._threads,
                    clock=self._clock,
                ),
                partial(self._share_ended, running, number, worker),
                windows=math.ceil(dispatch.offer.option.batch / len(shares)),
            )
        return running

    def _share_ended(
        self, running: _Batch, number: int, worker: Worker, outcome: Run | Exception
    ) -> None:
        began_cpu_s = self._cpu_clock()
        running.handing_cpu_s += worker.beside_cpu_s
        self._workers.give_back(worker)
        running.outcomes[number] = outcome
        if None in running.outcomes:
            return
        failure = next((o for o in running.outcomes if isinstance(o, Exception)), None)
        if failure is None:
            run = batch.joined([o for o in running.outcomes if isinstance(o, Run)])
            self._finish(running, run, began_cpu_s)
        else:
            self.scheduler.failed(running.dispatch)
            for entry in running.entries:
                if not entry.outcome.done():
                    entry.outcome.set_exception(failure)
        self.turn()

    def _finish(self, running: _Batch, run: Run, began_cpu_s: float) -> None:
        """Book what a batch took and give each request its rows.

        Args:
            running: The batch.
            run: What came of it.
            began_cpu_s: When the event loop turned to its end, by its CPU clock.
        """
        dispatch, entries = running.dispatch, running.entries
        cpu_s = run.cpu_s + sum(entry.parse_cpu_s for entry in entries)
        energy_j = self._charge(cpu_s)
        price = energy_j / cpu_s if cpu_s else 0.0
        windows = dispatch.offer.option.batch
        handing_cpu_s = running.handing_cpu_s + self._cpu_clock() - began_cpu_s
        self.scheduler.finished(
            dispatch,
            latency_s=run.latency_s,
            energy_j=price * run.cpu_s,
            now_s=self._clock(),
            # Not charged to anybody: it is overhead in the books, and chooses among offers.
            handover_j=price * handing_cpu_s,
        )
        self._energy_j += price * run.cpu_s
        self._windows += windows
        self._pruned += windows * dispatch.offer.option.permille / 1000
        running.resident.meters.record(
            windows=windows,
            inference_s=run.latency_s,
            energy_j=energy_j,
            predicted_s=dispatch.predicted_s,
            # Reading had happened by then: its energy is on both sides of the comparison.
            predicted_j=dispatch.predicted_j + energy_j - price * run.cpu_s,
        )
        self._metrics.batch_size.observe(windows)
        row = 0
        for entry in entries:
            own = entry.request.windows
            served = Served(
                logits=run.logits[row : row + own],
                request=entry.request,
                dispatch=dispatch,
                run=run,
                inference_j=price * run.cpu_s * own / windows,
                reading_j=price * entry.parse_cpu_s,
            )
            _settle(entry, served)
            row += own


def _settle(entry: _Entry, outcome: Outcome) -> None:
    if not entry.outcome.done():  # the request may have been cancelled meanwhile
        entry.outcome.set_result(outcome)
