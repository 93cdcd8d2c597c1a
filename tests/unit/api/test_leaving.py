from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from app.answering.leaving import unless_gone
from app.api.infer import _has_left
from app.errors import ClientGoneError


def test_whether_a_client_has_left_is_told_without_waiting() -> None:
    async def play() -> list[bool]:
        news = asyncio.Event()

        async def receive() -> Message:
            await news.wait()
            return {"type": "http.disconnect"}

        before = [_has_left(receive) for _ in range(3)]
        news.set()
        return [*before, _has_left(receive), _has_left(receive)]

    assert asyncio.run(play()) == [False, False, False, True, True]


async def leave_after(seconds: float) -> None:
    await asyncio.sleep(seconds)


def test_work_is_cancelled_when_nobody_waits_for_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            ended.append("work")

    async def play() -> None:
        with pytest.raises(ClientGoneError):
            await unless_gone(work(), lambda: leave_after(0.01))
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(play())
    assert ended == ["work"]


def test_work_that_is_done_first_is_returned_and_its_errors_are_raised() -> None:
    async def seven() -> int:
        return 7

    async def fail() -> int:
        raise ValueError("odd")

    async def play() -> int:
        with pytest.raises(ValueError, match="odd"):
            await unless_gone(fail(), lambda: leave_after(20))
        assert await unless_gone(seven(), None) == 7
        return await unless_gone(seven(), lambda: leave_after(20))

    assert asyncio.run(play()) == 7
