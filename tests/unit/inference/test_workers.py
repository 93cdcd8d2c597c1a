from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from app.inference.workers import Worker, Workers
from tests.unit.clocks import Clock


@contextmanager
def started(count: int = 1) -> Iterator[Workers]:
    workers = Workers(count)
    workers.start()
    yield workers
    workers.close()


def run(scenario: Callable[[Workers], Awaitable[None]], count: int = 1) -> None:
    async def play() -> None:
        with started(count) as workers:
            await scenario(workers)

    asyncio.run(play())


async def outcome(worker: Worker, job: Callable[[], object]) -> object:
    """What the event loop is told of a job."""
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    worker.run(job, told.set_result)
    async with asyncio.timeout(5):
        return await told


def test_jobs_run_on_threads_of_their_own() -> None:
    async def scenario(workers: Workers) -> None:
        name = await outcome(workers.take(), lambda: threading.current_thread().name)
        assert name == "inference-0"

    run(scenario)


def test_the_event_loop_goes_on_while_a_job_runs() -> None:
    async def scenario(workers: Workers) -> None:
        release = threading.Event()
        job = asyncio.create_task(outcome(workers.take(), lambda: release.wait(5)))
        await asyncio.sleep(0.01)
        assert not job.done()
        release.set()
        assert await job

    run(scenario)


def test_an_error_of_a_job_is_told_and_the_worker_lives_on() -> None:
    async def scenario(workers: Workers) -> None:
        worker = workers.take()
        assert isinstance(await outcome(worker, lambda: 1 / 0), ZeroDivisionError)
        assert await outcome(worker, lambda: 7) == 7
        assert workers.alive

    run(scenario)


def test_what_has_ended_can_be_told_before_the_event_loop_gets_to_it() -> None:
    async def scenario(workers: Workers) -> None:
        told: list[int] = []
        workers.take().run(lambda: 7, lambda outcome: told.append(cast(int, outcome)))
        deadline_s = time.monotonic() + 5
        while not told and time.monotonic() < deadline_s:
            time.sleep(0.001)  # the loop is busy meanwhile
            workers.tell()
        assert told == [7]
        await asyncio.sleep(0.01)
        assert told == [7], "once"

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own there")
def test_the_event_loop_goes_before_the_workers() -> None:
    async def scenario(workers: Workers) -> None:
        mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        its = await outcome(
            workers.take(), lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        )
        assert its == min(mine + 5, 19)

    run(scenario)


def test_there_are_no_more_workers_than_cores() -> None:
    with started(2) as workers:
        assert workers.take() is not workers.take()
        with pytest.raises(IndexError):
            workers.take()


def test_work_stays_where_it_ended_last() -> None:
    with started(3) as workers:
        one, other = workers.take(), workers.take()
        workers.give_back(other)
        workers.give_back(one)
        assert workers.take() is one
        assert workers.take() is other


def test_closing_lets_the_running_job_finish() -> None:
    async def scenario() -> None:
        with started() as workers:
            job = asyncio.create_task(outcome(workers.take(), lambda: time.sleep(0.05) or "done"))
            await asyncio.sleep(0.01)
            await asyncio.to_thread(workers.close)
            assert await job == "done"
            assert not workers.alive

    asyncio.run(scenario())


def test_it_is_known_how_long_the_longest_job_has_been_running() -> None:
    async def scenario() -> None:
        clock, release = Clock(), threading.Event()
        workers = Workers(2, clock)
        workers.start()
        assert workers.longest_s == 0.0
        held = asyncio.create_task(outcome(workers.take(), lambda: release.wait(5)))
        await asyncio.sleep(0)
        clock.pass_by(7.0)
        await outcome(workers.take(), lambda: None)
        assert workers.longest_s == 7.0
        release.set()
        await held
        assert workers.longest_s == 0.0
        await asyncio.to_thread(workers.close)

    asyncio.run(scenario())


def test_who_fails_at_being_told_is_reported_and_the_others_are_told() -> None:
    async def scenario(workers: Workers) -> None:
        reported: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        error = RuntimeError("a bug")

        def fail(_: object) -> None:
            raise error

        one, other = workers.take(), workers.take()
        one.run(lambda: None, fail)
        while one.busy_s:
            time.sleep(0.001)  # the loop hears nothing meanwhile
        told: list[object] = []
        other.run(lambda: 5, told.append)
        while other.busy_s:
            time.sleep(0.001)
        workers.tell()
        assert told == [5]
        assert reported == [error]

    run(scenario, count=2)
