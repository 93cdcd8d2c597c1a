from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import numpy as np
import pytest

from app.inference.lineup import Lineup, menu_of
from app.inference.pump import Outcome, Pump, Served, Ticket
from app.inference.registry import Resident
from app.inference.workers import Workers
from app.scheduling import Budget
from app.scheduling.dispatch import Dropped, Limits
from app.scheduling.power_gate import PowerGate
from app.scheduling.scheduler import Scheduler
from app.telemetry.metrics import Metrics
from app.telemetry.variants import VariantMeters
from sentryfuse.presence import Presence
from sentryfuse.variants import Variant
from tests.unit.lineups import ALL, Held, lineup

WATTS = 5.0


class Slow:
    """In place of a variant: answers each window with its own number, once it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[float]] = []
        self.broken = False

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        rows = inputs["sensor"][:, 0, :1]
        self.batches.append(rows[:, 0].tolist())
        assert self.go.wait(5)
        if self.broken:
            raise RuntimeError("no memory left")
        return rows.astype(np.float32)


class Tally:
    """In place of a variant's counters."""

    def __init__(self) -> None:
        self.windows: list[int] = []
        self.energy_j = self.predicted_s = self.predicted_j = 0.0

    def record(
        self,
        *,
        windows: int,
        inference_s: float,
        energy_j: float,
        predicted_s: float,
        predicted_j: float,
    ) -> None:
        self.windows.append(windows)
        self.energy_j += energy_j
        self.predicted_s += predicted_s
        self.predicted_j += predicted_j


class Shelf(Held):
    """Holds one slow variant under every ratio."""

    def __init__(self, variant: Slow, tally: Tally) -> None:
        super().__init__(ALL)
        self.resident = Resident(cast(Variant, variant), cast(VariantMeters, tally))

    def held(self, presence: Presence, permilles: Any) -> dict[int, Resident]:
        return dict.fromkeys(permilles, self.resident)


class Bench:
    """A pump with real threads and made-up variants."""

    def __init__(self, cores: int, cap_w: float | None) -> None:
        self.slow, self.tally, self.metrics = Slow(), Tally(), Metrics()
        self.lineup = self.other()
        clock = time.perf_counter
        gate = PowerGate(cap_w=cap_w, idle_power_w=3.0, now_s=clock())
        self.scheduler = Scheduler(menu_of, Limits(cores=cores, patience_s=5.0), gate)
        self.pump = Pump(
            self.scheduler,
            Workers(cores),
            charge=lambda cpu_s: WATTS * cpu_s,
            metrics=self.metrics,
            threads=1,
            clock=clock,
        )
        self.pump.start()

    def other(self) -> Lineup:
        """Another presence on the same shelf."""
        return lineup(registry=Shelf(self.slow, self.tally))

    def send(self, *numbers: float, to: Lineup | None = None, **budget: Any) -> Ticket:
        """Submit a request of one window for each number."""
        windows = np.array(numbers, np.float32).reshape(-1, 1, 1)
        ticket = self.pump.submit(
            to or self.lineup,
            {"sensor": windows},
            Budget(**budget),
            received_s=time.perf_counter(),
            parse_cpu_s=0.001,
            reading_j=0.005,
        )
        assert isinstance(ticket, Ticket)
        return ticket


def run(
    scenario: Callable[[Bench], Awaitable[None]], *, cores: int = 1, cap_w: float | None = None
) -> None:
    async def play() -> None:
        bench = Bench(cores, cap_w)
        try:
            await scenario(bench)
        finally:
            bench.slow.go.set()
            await asyncio.to_thread(bench.pump.close)

    asyncio.run(play())


async def outcomes(*tickets: Ticket) -> list[Outcome]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*(ticket.outcome for ticket in tickets))


async def answers(*tickets: Ticket) -> list[list[float]]:
    served = await outcomes(*tickets)
    return [s.logits[:, 0].tolist() for s in served if isinstance(s, Served)]


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_who_waited_together_runs_together_and_each_gets_its_own_rows() -> None:
    async def scenario(bench: Bench) -> None:
        tickets = [bench.send(*numbers) for numbers in ((1,), (2,), (3, 4), (5,))]
        bench.slow.go.set()
        assert await answers(*tickets) == [[1], [2], [3, 4], [5]]
        assert bench.slow.batches == [[1], [2, 3, 4, 5]]
        assert bench.tally.windows == [1, 4], "counted once for each inference"

    run(scenario)


def test_nothing_waits_for_company_while_a_core_is_free() -> None:
    async def scenario(bench: Bench) -> None:
        tickets = [bench.send(1), bench.send(2)]
        await eventually(lambda: len(bench.slow.batches) == 2)
        assert bench.scheduler.waiting == 0
        bench.slow.go.set()
        assert await answers(*tickets) == [[1], [2]]

    run(scenario, cores=2)


def test_what_is_read_in_one_go_while_something_runs_is_planned_in_one_go() -> None:
    async def scenario(bench: Bench) -> None:
        first = bench.send(1)
        tickets = [bench.send(n) for n in (2, 3)]
        await eventually(lambda: len(bench.slow.batches) == 2)
        bench.slow.go.set()
        await answers(first, *tickets)
        assert sorted(bench.slow.batches) == [[1], [2, 3]]

    run(scenario, cores=2)


def test_a_core_is_free_for_the_next_request_before_the_loop_hears_of_it() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.go.set()
        first = bench.send(1)
        time.sleep(0.1)  # the loop is busy meanwhile
        second = bench.send(2)
        assert first.outcome.done()
        assert not bench.pump.waits(second)
        assert await answers(first, second) == [[1], [2]]

    run(scenario)


def test_presences_are_never_mixed() -> None:
    async def scenario(bench: Bench) -> None:
        other = bench.other()
        busy = bench.send(0)
        tickets = [bench.send(n, to=other if n % 2 else None) for n in (1, 2, 3, 4)]
        bench.slow.go.set()
        assert await answers(busy, *tickets) == [[0], [1], [2], [3], [4]]
        assert sorted(bench.slow.batches) == [[0], [1, 3], [2, 4]]

    run(scenario)


def test_a_request_that_is_cancelled_while_it_waits_does_not_run() -> None:
    async def scenario(bench: Bench) -> None:
        first, second, third = bench.send(1), bench.send(2), bench.send(3)
        assert not bench.pump.waits(first)
        assert bench.pump.waits(second)
        bench.pump.cancel(second)
        bench.pump.cancel(first)
        bench.slow.go.set()
        assert await answers(first, third) == [[1], [3]]
        assert bench.slow.batches == [[1], [3]]

    run(scenario)


def test_rows_of_a_lone_request_in_a_hurry_are_shared_out_over_idle_cores() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.go.set()
        (served,) = await outcomes(bench.send(1, 2, 3, 4, 5, latency_s=0.06))
        assert isinstance(served, Served)
        assert served.logits[:, 0].tolist() == [1, 2, 3, 4, 5]
        assert served.dispatch.cores == 2
        assert sorted(bench.slow.batches) == [[1, 2, 3], [4, 5]]
        assert bench.scheduler.free_cores == 2
        assert bench.tally.windows == [5]

    run(scenario, cores=2)


def test_energy_is_shared_by_windows_and_reading_is_ones_own() -> None:
    async def scenario(bench: Bench) -> None:
        tickets = [bench.send(*numbers) for numbers in ((0,), (1,), (2, 3, 4))]
        bench.slow.go.set()
        _, one, three = [s for s in await outcomes(*tickets) if isinstance(s, Served)]
        assert one.run is three.run
        assert three.inference_j == pytest.approx(3 * one.inference_j)
        assert one.inference_j + three.inference_j == pytest.approx(WATTS * one.run.cpu_s)
        assert one.reading_j == three.reading_j == pytest.approx(WATTS * 0.001)
        whole_j = bench.pump.totals().energy_j + 3 * WATTS * 0.001
        assert bench.tally.energy_j == pytest.approx(whole_j)

    run(scenario)


def test_what_was_predicted_is_kept_beside_what_was_taken() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.go.set()
        (served,) = [s for s in await outcomes(bench.send(0)) if isinstance(s, Served)]
        dispatch = served.dispatch
        assert bench.tally.predicted_s == dispatch.view.slowdown * dispatch.offer.latency_s > 0
        reading_j = WATTS * 0.001
        assert bench.tally.predicted_j == pytest.approx(dispatch.predicted_j + reading_j)

    run(scenario)


def test_a_variant_that_fails_fails_its_own_requests_and_nothing_else() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.broken = True
        failed = bench.send(1)
        await eventually(lambda: bench.slow.batches)
        bench.slow.go.set()
        with pytest.raises(RuntimeError, match="no memory"):
            await outcomes(failed)
        bench.slow.broken = False
        assert await answers(bench.send(2)) == [[2]]
        assert bench.pump.alive

    run(scenario)


def test_a_strict_request_whose_deadline_passes_in_the_queue_is_told_and_not_run() -> None:
    async def scenario(bench: Bench) -> None:
        busy = bench.send(1)
        hurried = bench.send(2, latency_s=0.04, strict=True)
        await asyncio.sleep(0.05)
        bench.slow.go.set()
        (dropped,) = await outcomes(hurried)
        assert isinstance(dropped, Dropped)
        assert dropped.reason == "deadline"
        assert await answers(busy) == [[1]]
        assert bench.slow.batches == [[1]]

    run(scenario)


def test_who_waits_for_energy_is_served_when_the_gate_opens() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.go.set()
        bench.pump.scheduler.gate.spend(0.1, time.perf_counter())
        ticket = bench.send(1)
        assert bench.pump.waits(ticket)
        assert await answers(ticket) == [[1]]

    run(scenario, cap_w=3.1)


def test_who_waits_for_energy_is_let_go_when_the_cap_is_lifted() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.go.set()
        gate = bench.scheduler.gate
        gate.spend(0.0015, time.perf_counter())
        gate.settle(0.0015, 0.04, time.perf_counter())  # a debt of more than a second
        ticket = bench.send(1)
        await asyncio.sleep(0.01)
        assert bench.pump.waits(ticket)
        gate.set_cap(None, time.perf_counter())
        bench.pump.turn()
        assert not bench.pump.waits(ticket)
        assert await answers(ticket) == [[1]]

    run(scenario, cap_w=3.04)


def test_what_handing_over_draws_is_told_and_charged_to_nobody() -> None:
    async def scenario(bench: Bench) -> None:
        bench.slow.go.set()
        charged: list[float] = []
        bench.pump._charge = lambda cpu_s: charged.append(cpu_s) or WATTS * cpu_s  # type: ignore[func-returns-value]
        (served,) = await outcomes(bench.send(1.0))
        assert isinstance(served, Served)
        handover_j = bench.scheduler.handover.energy_j
        assert 0 < handover_j < WATTS * 0.05  # a twentieth of a second would be absurd
        assert charged == [pytest.approx(served.run.cpu_s + 0.001)]  # inference and reading

    run(scenario)
