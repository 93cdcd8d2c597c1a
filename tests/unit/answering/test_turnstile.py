from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from app.answering.turnstile import Turnstile

Pass = Callable[[str, float], Coroutine[Any, Any, None]]


def play(scenario: Callable[[Turnstile, Pass, list[str]], Coroutine[Any, Any, None]]) -> list[str]:
    """Run a scenario; returns what happened, in order."""
    happened: list[str] = []

    async def run() -> None:
        turnstile = Turnstile()

        async def enter(name: str, due_s: float) -> None:
            await turnstile.turn(due_s)
            happened.append(name)

        await scenario(turnstile, enter, happened)
        assert turnstile.waiting == 0

    asyncio.run(run())
    return happened


def test_who_comes_alone_is_not_kept() -> None:
    async def scenario(_: Turnstile, enter: Pass, happened: list[str]) -> None:
        alone = enter("alone", 1.0)
        try:
            alone.send(None)
        except StopIteration:
            happened.append("without waiting")
        await asyncio.sleep(0)

    assert play(scenario) == ["alone", "without waiting"]


def test_of_those_who_wait_the_most_urgent_is_first() -> None:
    async def scenario(_: Turnstile, enter: Pass, happened: list[str]) -> None:
        await asyncio.gather(
            *(enter(name, due_s) for name, due_s in zip("abcd", (9, 3, 1, 2), strict=True))
        )

    assert play(scenario) == ["a", "c", "d", "b"]


def test_what_is_ready_goes_out_between_two_who_come_in() -> None:
    async def scenario(_: Turnstile, enter: Pass, happened: list[str]) -> None:
        everybody = asyncio.gather(*(enter(f"in {i}", i) for i in range(3)))
        for i in range(12):
            await asyncio.sleep(0)
            happened.append(f"out {i}")
        await everybody

    happened = play(scenario)
    entries = [happened.index(f"in {i}") for i in range(3)]
    assert all(after - before > 1 for before, after in pairwise(entries))


def test_who_leaves_while_waiting_holds_up_nobody() -> None:
    async def scenario(turnstile: Turnstile, enter: Pass, happened: list[str]) -> None:
        tasks = [asyncio.create_task(enter(name, i)) for i, name in enumerate("abcd")]
        await asyncio.sleep(0)
        assert turnstile.waiting == 3
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert play(scenario) == ["a", "c", "d"]


def test_who_leaves_in_the_moment_of_being_let_in_holds_up_nobody() -> None:
    async def scenario(turnstile: Turnstile, enter: Pass, happened: list[str]) -> None:
        tasks = [asyncio.create_task(enter(name, i)) for i, name in enumerate("abc")]
        while turnstile.waiting != 1:
            await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [False, True, False]

    assert play(scenario) == ["a", "c"]


def test_after_everybody_was_let_in_the_next_is_not_kept_either() -> None:
    async def scenario(_: Turnstile, enter: Pass, happened: list[str]) -> None:
        await asyncio.gather(enter("a", 1), enter("b", 2))
        await asyncio.sleep(0)
        try:
            enter("late", 1.0).send(None)
        except StopIteration:
            happened.append("without waiting")
        await asyncio.sleep(0)

    assert play(scenario) == ["a", "b", "late", "without waiting"]
