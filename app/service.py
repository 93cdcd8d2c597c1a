"""The one use case: answer a request within its budget, and say what it cost."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.answer import Answer, Receipt, probabilities, spendings
from app.ask import Ask
from app.errors import (
    BudgetError,
    DeadlineError,
    NotReadyError,
    ShedError,
    UnknownModelError,
)
from app.inference.dispatcher import Dispatcher
from app.inference.model import ServedModel
from app.inference.registry import Resident
from app.node import Node
from app.planning import Options, Planner
from app.scheduling import Budget, Plan
from app.telemetry.metrics import Metrics
from sentryfuse.presence import Presence
from sentryfuse.variants import Variant

logger = logging.getLogger(__name__)

_MOST_PREFETCHES = 4
# What one request cost can only be told by the CPU time of the thread that served it.
_ATTRIBUTED_BY = "cpu-time"


@dataclass(frozen=True, slots=True)
class _Run:
    """What came out of one inference."""

    logits: NDArray[np.float32]
    latency_s: float
    cpu_s: float


class InferenceService:
    """Plans, dispatches and accounts for requests. Lives on one event loop.

    Args:
        models: What is served, by name.
        dispatcher: Owner of the cores.
        node: The machine as observed.
        metrics: Told of everything that is answered or refused.
        watts_per_core: Active power of a busy core.
        threads: Threads of one inference.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        *,
        dispatcher: Dispatcher,
        node: Node,
        metrics: Metrics,
        watts_per_core: float,
        threads: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.models = models
        self.node = node
        self.dispatcher = dispatcher
        self.clock = clock
        self.metrics = metrics
        self._planner = Planner(node, watts_per_core=watts_per_core)
        self._watts = watts_per_core
        self._threads = threads
        self._prefetches: dict[tuple[str, Presence, int], asyncio.Task[Resident]] = {}

    def model(self, name: str) -> ServedModel:
        """Return a model by name.

        Raises:
            UnknownModelError: There is none.
        """
        try:
            return self.models[name]
        except KeyError:
            served = list(self.models)
            raise UnknownModelError(
                f"no model {name[:64]!r}; there is {', '.join(served)}", models=served
            ) from None

    def check_room(self, model: ServedModel) -> None:
        """Refuse early, before anything is spent on reading a request.

        Raises:
            NotReadyError: The model is getting ready.
            ShedError: The queue is full.
        """
        if not model.warm:
            raise NotReadyError(f"model {model.name} is getting ready", retry_after_s=1.0)
        try:
            self.dispatcher.check_room()
        except ShedError as shed:
            self.metrics.shed.labels(shed.reason).inc()
            raise

    async def infer(self, model: ServedModel, ask: Ask) -> Answer:
        """Answer a request with the most accurate variant that its budget allows.

        Raises:
            NotReadyError: The node's power cap allows nothing at all.
            ShedError: The node is too busy.
            BudgetError: A strict budget that can't be met.
            DeadlineError: A strict latency budget ran out.
        """
        try:
            return await self._infer(model, ask)
        except ShedError as shed:
            self.metrics.shed.labels(shed.reason).inc()
            raise
        except BudgetError as refused:
            self.metrics.budget.labels(str(refused.facts["budget"]), "refused").inc()
            raise
        except DeadlineError:
            self.metrics.budget.labels("latency", "refused").inc()
            raise

    async def _infer(self, model: ServedModel, ask: Ask) -> Answer:
        parsed_s = self.clock()
        presence = ask.windows.presence
        options = await model.options(presence, ask.windows.batch)
        planned = self._plan_at_arrival(model, ask, options)
        resident = model.registry.find(presence, planned.permille)
        build_s = 0.0
        if resident is None:
            began_s = self.clock()
            resident = await model.registry.get(presence, planned.permille)
            build_s = self.clock() - began_s
        queued_s = self.clock()
        async with self.dispatcher.core(self._longest_wait_s(ask)) as core:
            if core.waited or build_s:
                planned, resident = self._plan_at_dispatch(model, ask, options, resident)
            self.node.admitted()
            started_s = self.clock()
            run = await core.worker.run(
                partial(_run, resident.variant, ask.windows.inputs, self._threads, self.clock)
            )
        profiled_s = next(o.latency_s for o in options if o.permille == planned.permille)
        self.node.ran(observed_s=run.latency_s, profiled_s=profiled_s)
        receipt = self._receipt(
            ask,
            planned,
            run,
            parse_s=parsed_s - ask.received_s,
            build_s=build_s,
            queue_s=started_s - queued_s,
        )
        return Answer(
            model=model.name,
            version=model.version,
            class_names=model.spec.task.class_names,
            modality_names=model.modality_names,
            presence=presence,
            probabilities=probabilities(run.logits),
            plan=planned,
            receipt=receipt,
            id=ask.windows.id,
        )

    async def plan(
        self, model: ServedModel, presence: Presence, batch: int, budget: Budget
    ) -> tuple[Plan, Options]:
        """Say which variant a request would get now, were it in memory, and from which options.

        Raises:
            RequestError: The request would be refused.
        """
        options = await model.options(presence, batch)
        return self._planner.dry_run(options, budget), options

    def answered(self, ask: Ask, answer: Answer, first_byte_s: float) -> None:
        """Account for an answer whose first byte was written just now."""
        receipt = answer.receipt
        accounted_s = receipt.parse_s + receipt.build_s + receipt.queue_s + receipt.inference_s
        overhead_s = max(first_byte_s - ask.received_s - accounted_s, 0.0)
        self.node.answered(overhead_s=overhead_s)
        self.metrics.stage("overhead", overhead_s)
        self._count(answer, ask.windows.batch)

    def close(self) -> None:
        """Give up what is being built ahead."""
        for task in self._prefetches.values():
            task.cancel()

    def _longest_wait_s(self, ask: Ask) -> float:
        """How long a strict request may wait for a core; others wait as long as any."""
        if not ask.budget.strict or ask.budget.latency_s is None:
            return math.inf
        return max(ask.received_s + ask.budget.latency_s - self.clock(), 0.0)

    def _plan_at_arrival(self, model: ServedModel, ask: Ask, options: Options) -> Plan:
        presence = ask.windows.presence
        in_memory = model.resident(presence)
        if len(in_memory) < len(options):
            wish = self._planner.wish(ask, options)
            if wish is not None and wish not in in_memory:
                self._build_ahead(model, presence, wish)
        return self._planner.at_arrival(
            ask,
            options,
            in_memory=in_memory,
            build_s=model.registry.build_s,
            now_s=self.clock(),
        )

    def _plan_at_dispatch(
        self, model: ServedModel, ask: Ask, options: Options, resident: Resident
    ) -> tuple[Plan, Resident]:
        presence = ask.windows.presence
        in_memory = model.resident(presence) | {resident.variant.card.permille}
        planned = self._planner.at_dispatch(ask, options, in_memory=in_memory, now_s=self.clock())
        return planned, model.registry.find(presence, planned.permille) or resident

    def _build_ahead(self, model: ServedModel, presence: Presence, permille: int) -> None:
        """Build the variant that this request would have liked, for those that follow it."""
        key = (model.name, presence, permille)
        if key in self._prefetches or len(self._prefetches) >= _MOST_PREFETCHES:
            return
        task = asyncio.create_task(model.registry.get(presence, permille))
        self._prefetches[key] = task

        def ended(task: asyncio.Task[Resident]) -> None:
            del self._prefetches[key]
            if not task.cancelled() and task.exception() is not None:
                logger.error("could not build %s ahead", key, exc_info=task.exception())

        task.add_done_callback(ended)

    def _receipt(
        self, ask: Ask, planned: Plan, run: _Run, *, parse_s: float, build_s: float, queue_s: float
    ) -> Receipt:
        energy_j = (run.cpu_s + ask.parse_cpu_s) * self._watts
        total_s = self.clock() - ask.received_s
        return Receipt(
            parse_s=parse_s,
            build_s=build_s,
            queue_s=queue_s,
            inference_s=run.latency_s,
            total_s=total_s,
            energy_j=energy_j,
            energy_source=_ATTRIBUTED_BY,
            energy_quality="modelled",
            budget=spendings(
                ask.budget,
                latency_s=total_s,
                energy_j=energy_j,
                power_w=self.node.state(elapsed_s=0.0).power_w(energy_j),
                accuracy=planned.expected_accuracy,
            ),
        )

    def _count(self, answer: Answer, batch: int) -> None:
        receipt = answer.receipt
        registry = self.models[answer.model].registry
        resident = registry.find(answer.presence, answer.plan.permille)
        if resident is not None:
            resident.meters.record(
                windows=batch, inference_s=receipt.inference_s, energy_j=receipt.energy_j
            )
        self.metrics.batch_size.observe(batch)
        self.metrics.stage("parse", receipt.parse_s)
        self.metrics.stage("queue", receipt.queue_s)
        self.metrics.stage("inference", receipt.inference_s)
        if receipt.build_s:
            self.metrics.stage("build", receipt.build_s)
        for spending in receipt.budget:
            outcome = "met" if spending.met else "missed"
            self.metrics.budget.labels(spending.kind, outcome).inc()


def _run(
    variant: Variant,
    inputs: Mapping[str, NDArray[np.float32]],
    threads: int,
    clock: Callable[[], float],
) -> _Run:
    """Run a variant on this thread and measure it.

    With several threads their CPU time is taken to be the calling one's, each: the engine
    spreads the work evenly and its threads do not spin.
    """
    began_s, cpu_s = clock(), time.thread_time()
    logits = variant.run(inputs)
    return _Run(logits, clock() - began_s, (time.thread_time() - cpu_s) * threads)
