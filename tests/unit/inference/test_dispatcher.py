from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from app.errors import DeadlineError, ShedError
from app.inference.dispatcher import Dispatcher


@contextmanager
def started(workers: int = 1, max_queue: int = 8, max_wait_s: float = 10) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(workers=workers, max_queue=max_queue, max_wait_s=max_wait_s)
    dispatcher.start()
    yield dispatcher
    dispatcher.close()


async def hold(dispatcher: Dispatcher, until: asyncio.Event, name: str, order: list[str]) -> None:
    async with dispatcher.core():
        order.append(name)
        await until.wait()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def run(scenario: Callable[[Dispatcher], Awaitable[None]], **settings: float) -> None:
    async def play() -> None:
        with started(**settings) as dispatcher:  # type: ignore[arg-type]
            await scenario(dispatcher)

    asyncio.run(play())


def test_jobs_run_on_threads_of_their_own() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        async with dispatcher.core() as core:
            assert not core.waited
            name = await core.worker.run(lambda: threading.current_thread().name)
        assert name == "inference-0"

    run(scenario)


def test_the_event_loop_goes_on_while_a_job_runs() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        release = threading.Event()
        async with dispatcher.core() as core:
            job = asyncio.create_task(core.worker.run(lambda: release.wait(5)))
            await asyncio.sleep(0.01)
            assert not job.done()
            release.set()
            assert await job

    run(scenario)


def test_an_error_of_a_job_reaches_who_asked_and_the_worker_lives_on() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        async with dispatcher.core() as core:
            with pytest.raises(ZeroDivisionError):
                await core.worker.run(lambda: 1 / 0)
            assert await core.worker.run(lambda: 7) == 7
        assert dispatcher.alive

    run(scenario)


def test_cores_are_handed_over_first_come_first_served() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        order: list[str] = []
        until = asyncio.Event()
        tasks = [asyncio.create_task(hold(dispatcher, until, n, order)) for n in "abc"]
        await eventually(lambda: dispatcher.waiting == 2)
        assert order == ["a"]
        until.set()
        await asyncio.gather(*tasks)
        assert order == ["a", "b", "c"]

    run(scenario)


def test_no_more_run_at_once_than_there_are_cores() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        order: list[str] = []
        until = asyncio.Event()
        tasks = [asyncio.create_task(hold(dispatcher, until, n, order)) for n in "abcd"]
        await eventually(lambda: dispatcher.waiting == 2)
        assert order == ["a", "b"]
        until.set()
        await asyncio.gather(*tasks)

    run(scenario, workers=2)


def test_a_full_queue_sheds_with_the_time_to_come_back() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        until = asyncio.Event()
        tasks = [asyncio.create_task(hold(dispatcher, until, n, [])) for n in "ab"]
        await eventually(lambda: dispatcher.waiting == 1)
        with pytest.raises(ShedError, match="already wait") as caught:
            dispatcher.check_room()
        assert caught.value.reason == "queue_full"
        assert caught.value.retry_after_s > 0
        until.set()
        await asyncio.gather(*tasks)
        dispatcher.check_room()

    run(scenario, max_queue=1)


def test_retry_after_grows_with_the_queue_and_with_slow_requests() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        idle = dispatcher.retry_after_s()
        for _ in range(20):
            async with dispatcher.core():
                await asyncio.sleep(0.03)
        slow = dispatcher.retry_after_s()
        assert slow > idle
        until = asyncio.Event()
        tasks = [asyncio.create_task(hold(dispatcher, until, n, [])) for n in "abc"]
        await eventually(lambda: dispatcher.waiting == 2)
        assert dispatcher.retry_after_s() == pytest.approx(3 * slow)
        until.set()
        await asyncio.gather(*tasks)

    run(scenario)


def test_a_deadline_ends_the_wait() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        async with dispatcher.core():
            with pytest.raises(DeadlineError):
                async with dispatcher.core(0.01):
                    pytest.fail("no core was free")
        assert dispatcher.waiting == 0
        async with dispatcher.core() as core:
            assert not core.waited

    run(scenario)


def test_no_wait_is_longer_than_any_may_be() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        async with dispatcher.core():
            with pytest.raises(ShedError) as caught:
                async with dispatcher.core():
                    pytest.fail("no core was free")
        assert caught.value.reason == "queue_timeout"

    run(scenario, max_wait_s=0.01)


def test_a_request_that_gives_up_leaves_its_place_to_the_next() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        order: list[str] = []
        until = asyncio.Event()
        first, second, third = (
            asyncio.create_task(hold(dispatcher, until, n, order)) for n in "abc"
        )
        await eventually(lambda: dispatcher.waiting == 2)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        until.set()
        await asyncio.gather(first, third)
        assert order == ["a", "c"]
        async with dispatcher.core() as core:
            assert not core.waited

    run(scenario)


def test_a_core_handed_over_at_the_moment_of_giving_up_is_not_lost() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        until = asyncio.Event()
        first = asyncio.create_task(hold(dispatcher, until, "a", []))
        second = asyncio.create_task(hold(dispatcher, until, "b", []))
        await eventually(lambda: dispatcher.waiting == 1)
        until.set()
        await first  # hands over to the second, which has not run yet
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        async with dispatcher.core(0.5) as core:
            assert not core.waited

    run(scenario)


def test_closing_lets_the_running_job_finish() -> None:
    async def scenario() -> None:
        with started() as dispatcher:
            async with dispatcher.core() as core:
                job = asyncio.create_task(core.worker.run(lambda: time.sleep(0.05) or "done"))
                await asyncio.sleep(0.01)
                await asyncio.to_thread(dispatcher.close)
                assert await job == "done"
                assert not dispatcher.alive

    asyncio.run(scenario())


def test_one_request_after_the_other_stays_on_one_core() -> None:
    async def scenario(dispatcher: Dispatcher) -> None:
        names = set()
        for _ in range(5):
            async with dispatcher.core() as core:
                names.add(await core.worker.run(lambda: threading.current_thread().name))
        assert len(names) == 1

    run(scenario, workers=3)
