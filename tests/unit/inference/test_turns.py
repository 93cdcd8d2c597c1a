"""Work done in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.inference.turns import Turns


class Log:
    """Work that waits until it is let go, and writes down when it began and ended."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.go = asyncio.Event()

    def work(self, name: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            self.lines.append(f"{name} begins")
            await self.go.wait()
            self.lines.append(f"{name} ends")

        return do


async def begun(log: Log, line: str) -> None:
    while line not in log.lines:
        await asyncio.sleep(0)


def test_one_piece_is_done_after_the_other() -> None:
    async def scenario() -> None:
        turns, log = Turns(), Log()
        log.go.set()
        await asyncio.gather(*(turns.take(name, log.work(name)) for name in "ab"))
        assert log.lines == ["a begins", "a ends", "b begins", "b ends"]

    asyncio.run(scenario())


def test_what_has_not_begun_is_shared_and_what_has_begun_is_not() -> None:
    async def scenario() -> None:
        turns, log = Turns(), Log()
        first = asyncio.create_task(turns.take("a", log.work("first")))
        await begun(log, "first begins")
        others = [asyncio.create_task(turns.take("a", log.work(f"{n}"))) for n in range(50)]
        await asyncio.sleep(0)
        log.go.set()
        await asyncio.gather(first, *others)
        assert log.lines == ["first begins", "first ends", "0 begins", "0 ends"]

    asyncio.run(scenario())


def test_a_failure_reaches_all_who_wait_and_the_next_is_done_all_the_same() -> None:
    async def scenario() -> None:
        turns, log = Turns(), Log()

        async def fail() -> None:
            raise ValueError("broken")

        both = await asyncio.gather(
            turns.take("bad", fail), turns.take("bad", fail), return_exceptions=True
        )
        assert [str(error) for error in both] == ["broken", "broken"]
        log.go.set()
        await turns.take("good", log.work("good"))

    asyncio.run(scenario())


def test_closing_gives_up_what_runs_and_what_waits() -> None:
    async def scenario() -> None:
        turns, log = Turns(), Log()
        takers = [asyncio.create_task(turns.take(name, log.work(name))) for name in "ab"]
        await begun(log, "a begins")
        await turns.close()
        for taker in takers:
            with pytest.raises(asyncio.CancelledError):
                await taker
        assert log.lines == ["a begins"]

    asyncio.run(scenario())
