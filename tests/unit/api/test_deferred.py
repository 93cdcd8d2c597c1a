"""An app that is made on the first request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.deferred import Deferred

SCOPE: Scope = {"type": "http", "path": "/docs"}


class Maker:
    """Makes apps that note who came."""

    def __init__(self, *, failures: int = 0) -> None:
        self.made = 0
        self.threads: list[str] = []
        self.served = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self._failures = failures

    def __call__(self) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        self.made += 1
        self.threads.append(threading.current_thread().name)
        assert self.go_on.wait(5)
        if self.made <= self._failures:
            raise ImportError("no such package")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            self.served += 1

        return app


async def receive() -> Message:
    return {"type": "http.request"}


async def send(message: Message) -> None:
    raise AssertionError(message)


def test_it_is_made_once_however_many_come_at_once() -> None:
    maker = Maker()
    app = Deferred(maker)

    async def play() -> None:
        assert maker.made == 0
        await asyncio.gather(*(app(SCOPE, receive, send) for _ in range(5)))
        await app(SCOPE, receive, send)

    asyncio.run(play())
    assert (maker.made, maker.served) == (1, 6)


def test_the_event_loop_goes_on_meanwhile_and_no_thread_stays() -> None:
    maker = Maker()
    maker.go_on.clear()
    app = Deferred(maker)

    async def play() -> None:
        request = asyncio.create_task(app(SCOPE, receive, send))
        await asyncio.sleep(0.02)
        assert not request.done()
        maker.go_on.set()
        await request

    asyncio.run(play())
    assert maker.served == 1
    assert not {*maker.threads} & {thread.name for thread in threading.enumerate()}


def test_who_came_first_may_leave() -> None:
    maker = Maker()
    maker.go_on.clear()
    app = Deferred(maker)

    async def play() -> None:
        first, second = (asyncio.create_task(app(SCOPE, receive, send)) for _ in range(2))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0.02)
        maker.go_on.set()
        await second
        assert first.cancelled()

    asyncio.run(play())
    assert (maker.made, maker.served) == (1, 1)


def test_what_could_not_be_made_is_tried_again() -> None:
    maker = Maker(failures=1)
    app = Deferred(maker)

    async def play() -> None:
        with pytest.raises(ImportError, match="no such package"):
            await app(SCOPE, receive, send)
        await app(SCOPE, receive, send)

    asyncio.run(play())
    assert (maker.made, maker.served) == (2, 1)
