"""The one use case: answer a request within its budget, and say what it cost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from app.answering.answer import Answer, probabilities
from app.answering.ask import Ask
from app.answering.cascade import first_ratios, next_ratios
from app.answering.outlook import Options, Outlook
from app.answering.overhead import Overhead
from app.answering.planning import Planner
from app.answering.receipts import Attempt, write_receipt
from app.answering.refusals import Refusals
from app.answering.stay import Stay
from app.answering.supply import Supply
from app.answering.turnstile import Turnstile
from app.errors import (
    BudgetError,
    ClientGoneError,
    DeadlineError,
    NotReadyError,
    RequestError,
    ShedError,
)
from app.inference.catalogue import Catalogue
from app.inference.lineup import Lineup
from app.inference.model import ServedModel
from app.inference.pump import Outcome, Pump, Ticket
from app.power.cap import CapControl
from app.power.node import Node
from app.scheduling import Budget, Plan
from app.scheduling.crowd import Crowd
from app.scheduling.dispatch import Dropped, Refused
from app.telemetry.metrics import Metrics
from sentryfuse.presence import Presence

logger = logging.getLogger(__name__)

_LEAST_UNREAD = 16  # requests that may wait to be parsed, even if none may wait for a core
_NO_HURRY_S = 30.0  # when a request without latency budget is due, among those that have one


class InferenceService:
    """Queues and accounts for requests. Lives on one event loop.

    Args:
        models: What is served, by name and version.
        pump: Owner of the cores.
        node: The machine's power and its books.
        metrics: Told of everything that is answered or refused.
        cap: Sets the node's power cap.
        max_queue: Requests that may wait.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        models: Catalogue,
        *,
        pump: Pump,
        node: Node,
        metrics: Metrics,
        cap: CapControl,
        max_queue: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.models = models
        self.pump = pump
        self.scheduler = pump.scheduler
        self.node = node
        self.metrics = metrics
        self.cap = cap
        self.clock = clock
        self.received = 0
        """Requests to infer, refused ones included."""
        self.crowd = Crowd(clock())
        """Requests that have come in, whichever way, and have no answer yet."""
        self._overhead = Overhead()
        self._max_queue = max_queue
        self._turnstile = Turnstile()
        self.scheduler.overhead_s = self._overhead.allowance_s
        self._outlook = Outlook(self.scheduler, price=lambda: node.price, clock=clock)
        self._refusals = Refusals(self._outlook)
        self._planner = Planner(self._outlook, self._refusals)
        self._supply = Supply(
            self._planner, crowded=lambda: self.scheduler.waiting > 0, clock=clock
        )

    def model(self, name: str, version: str | None = None) -> ServedModel:
        """Return a model by name and version, or the newest version that is ready.

        Raises:
            UnknownModelError: There is none.
        """
        return self.models.find(name, version)

    def stay(self) -> Stay:
        """Count a request as inside while a block runs: from its last byte to its answer."""
        return Stay(self.crowd, self.clock)

    def check_room(self, model: ServedModel) -> None:
        """Refuse early, before anything is spent on reading a request.

        Raises:
            NotReadyError: The model is getting ready.
            ShedError: The queue is full.
        """
        self.received += 1
        if not model.warm:
            raise NotReadyError(f"model {model.name} is getting ready", retry_after_s=1.0)
        scheduler, unread = self.scheduler, self._turnstile.waiting
        crowded = scheduler.waiting + unread >= self._max_queue and not scheduler.free_cores
        if crowded or unread >= max(self._max_queue, _LEAST_UNREAD):
            raise self._counted(self._refusals.queue_full())

    async def turn_to_read(self, budget: Budget, received_s: float) -> float:
        """Wait until a request may be parsed; return how long that took, in seconds.

        Args:
            budget: What it may spend: the most urgent one is first.
            received_s: When its last byte was read.

        Raises:
            DeadlineError: A strict latency budget ran out; nothing has been spent on it.
        """
        due_s = received_s + (budget.latency_s or _NO_HURRY_S)
        if not await self._turnstile.turn(due_s):
            return 0.0
        now_s = self.clock()
        late = now_s + self.scheduler.overhead_s > due_s
        if late and budget.strict and budget.latency_s is not None:
            error = self._counted(self._refusals.too_late(budget, now_s - received_s))
            self._doubt(error)
            raise error
        return now_s - received_s

    async def infer(self, model: ServedModel, ask: Ask) -> Answer:
        """Answer a request with the most accurate variant that its budget allows.

        Raises:
            NotReadyError: The node's power cap allows nothing at all.
            ShedError: The node is too busy.
            BudgetError: A strict budget that can't be met.
            DeadlineError: A strict latency budget ran out.
            ClientGoneError: Nobody waits for the answer any more.
        """
        try:
            return await self._infer(model, ask)
        except RequestError as error:
            self._counted(error)
            self._doubt(error)
            raise

    async def plan(
        self, model: ServedModel, presence: Presence, batch: int, budget: Budget
    ) -> tuple[Plan, Options]:
        """Say which variant a request would get now, were it in memory, and what others would cost.

        Raises:
            RequestError: The request would be refused.
        """
        lineup = await model.lineup(presence)
        options = self._outlook.at_present(lineup.options(batch))
        planned = self._planner.dry_run(options, budget)
        slowdown = self.scheduler.estimator.latency.mean
        return planned, [replace(o, latency_s=slowdown * o.latency_s) for o in options]

    def answered(self, ask: Ask, answer: Answer, first_byte_s: float) -> None:
        """Account for an answer whose first byte was written just now."""
        receipt = answer.receipt
        late_s = first_byte_s - ask.received_s - receipt.total_s
        answering_s = receipt.answering_s
        beside_s = receipt.batch_wait_s + answering_s + late_s
        self._overhead = self._overhead.updated(max(beside_s, 0.0))
        self.scheduler.overhead_s = self._overhead.allowance_s
        stages = self.metrics.stages
        stages["parse"].observe(receipt.parse_s)
        stages["queue"].observe(receipt.queue_s)
        stages["batch"].observe(receipt.batch_wait_s)
        stages["inference"].observe(receipt.inference_s)
        stages["overhead"].observe(max(answering_s + late_s, 0.0))
        if receipt.build_s:
            stages["build"].observe(receipt.build_s)
        for spending in receipt.budget:
            outcome = "met" if spending.met else "missed"
            self.metrics.budget.labels(spending.kind, outcome).inc()

    def close(self) -> None:
        """Give up what is being built ahead."""
        self._supply.close()

    async def _infer(self, model: ServedModel, ask: Ask) -> Answer:
        parse_s = self.clock() - ask.received_s - ask.waited_s
        lineup = await model.lineup(ask.windows.presence)
        build_s = 0.0
        if not lineup.complete:
            build_s = await self._supply.ensure(model, ask, lineup)
        attempts = await self._attempts(ask, lineup)
        return self._answer(model, ask, lineup, attempts, parse_s=parse_s, build_s=build_s)

    async def _attempts(self, ask: Ask, lineup: Lineup) -> list[Attempt]:
        """Run a request; in a cascade, again with larger variants while that is worth it."""
        if ask.cascade is None:
            return [await self._attempt(ask, lineup)]
        attempts = [await self._attempt(ask, lineup, permilles=first_ratios(lineup, ask.budget))]
        # An answer is at hand, so a larger variant that would break the budget is not waited for.
        strict = replace(ask, budget=replace(ask.budget, strict=True), parse_cpu_s=0.0)
        while attempts[-1].confidence < ask.cascade:
            if ask.has_left():
                raise ClientGoneError
            spent_j = sum(attempt.energy_j for attempt in attempts)
            better = next_ratios(
                lineup,
                attempts[-1].permille,
                self._outlook.at_present(lineup.options(ask.windows.batch), spent_j=spent_j),
                ask.budget,
                self._outlook.state(spent_s=self._outlook.spent_s(ask)),
            )
            if not better:
                break
            try:
                attempts.append(
                    await self._attempt(strict, lineup, permilles=better, spent_j=spent_j)
                )
            except RequestError as error:
                logger.debug("no larger variant: %s", error)
                break
        return attempts

    async def _attempt(
        self,
        ask: Ask,
        lineup: Lineup,
        *,
        permilles: frozenset[int] | None = None,
        spent_j: float = 0.0,
    ) -> Attempt:
        """Have one inference run for a request.

        Args:
            ask: The request.
            lineup: What can be run for it.
            permilles: Ratios that it may be given; None for all.
            spent_j: Energy that went into it so far, beside reading it.
        """
        submitted_s = self.clock()
        ticket = self.pump.submit(
            lineup,
            ask.windows.inputs,
            ask.budget,
            received_s=ask.received_s,
            parse_cpu_s=ask.parse_cpu_s,
            reading_j=self._outlook.reading_j(ask) + spent_j,
            permilles=permilles,
        )
        if isinstance(ticket, Refused):
            raise self._refusals.refused(ask, lineup, ticket)
        try:
            outcome = await self._outcome(ask, ticket)
        finally:
            self.pump.cancel(ticket)
        if isinstance(outcome, Dropped):
            raise self._refusals.dropped(ask, lineup, outcome)
        return Attempt(outcome, submitted_s, probabilities(outcome.logits))

    async def _outcome(self, ask: Ask, ticket: Ticket) -> Outcome:
        """Wait for what becomes of a request; who has to queue may leave meanwhile."""
        outcome = ticket.outcome
        if (ask.watch is None and ask.gone is None) or not self.pump.waits(ticket):
            return await outcome
        if ask.watch is not None:
            ask.watch(partial(_abandon, outcome))
            try:
                return await outcome
            finally:
                ask.watch(None)
        assert ask.gone is not None
        watch = asyncio.ensure_future(_leave(ask.gone, outcome))
        try:
            return await outcome
        finally:
            watch.cancel()

    def _answer(
        self,
        model: ServedModel,
        ask: Ask,
        lineup: Lineup,
        attempts: list[Attempt],
        *,
        parse_s: float,
        build_s: float,
    ) -> Answer:
        last = attempts[-1]
        planned = last.served.dispatch.plan(last.served.request)
        now_s = self.clock()
        receipt = write_receipt(
            ask,
            lineup,
            attempts,
            parse_s=parse_s,
            build_s=build_s,
            total_s=now_s - ask.received_s,
            idle_power_w=self.scheduler.gate.idle_power_w,
            arrival_rate_hz=self.scheduler.arrivals.rate_hz(now_s),
            meter=self.node.meter,
        )
        return Answer(
            model=model.name,
            version=model.version,
            class_names=model.spec.task.class_names,
            modality_names=model.modality_names,
            presence=lineup.presence,
            probabilities=last.probabilities,
            plan=planned,
            receipt=receipt,
            id=ask.windows.id,
        )

    def _doubt(self, error: RequestError) -> None:
        """Let estimates that alone kept an idle machine from trying fade, or they stay for ever."""
        too_late = (
            isinstance(error, DeadlineError)
            or (isinstance(error, BudgetError) and error.facts["budget"] == "latency")
            or (isinstance(error, ShedError) and error.reason == "busy")
        )
        if too_late and self.scheduler.idle:
            self._overhead = self._overhead.doubted()
            self.scheduler.overhead_s = self._overhead.allowance_s

    def _counted(self, error: RequestError) -> RequestError:
        """Count a refusal."""
        if isinstance(error, ShedError):
            self.metrics.shed.labels(error.reason).inc()
        elif isinstance(error, DeadlineError):
            self.metrics.shed.labels("deadline").inc()
            self.metrics.budget.labels("latency", "refused").inc()
        elif isinstance(error, BudgetError):
            self.metrics.shed.labels("impossible").inc()
            self.metrics.budget.labels(str(error.facts["budget"]), "refused").inc()
        elif isinstance(error, NotReadyError):
            self.metrics.shed.labels("not_ready").inc()
        return error


async def _leave(gone: Callable[[], Awaitable[None]], outcome: asyncio.Future[Outcome]) -> None:
    await gone()
    _abandon(outcome)


def _abandon(outcome: asyncio.Future[Outcome]) -> None:
    if not outcome.done():
        outcome.set_exception(ClientGoneError())
