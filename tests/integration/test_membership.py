"""Memberships in one process, on a real Redis, with a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest

from app.power.membership import Follower, Membership
from app.site import Terms
from app.storage import RedisAccess, RedisLink
from app.storage.keys import site_key
from tests.integration.redis_server import RedisServer, StartRedis

CAP_W, SHARE_W, IDLE_W = 20.0, 4.0, 1.0
POOL_W = CAP_W - 2 * SHARE_W


class Board:
    """What the processes of a node see of each other."""

    def __init__(self) -> None:
        self.content: Mapping[str, Any] | None = None

    def put_loan(self, content: Mapping[str, object]) -> None:
        self.content = content

    def loan(self) -> Mapping[str, Any] | None:
        return self.content


class Site:
    """Two nodes and their clock."""

    def __init__(self, url: str, *, board: Board | None = None) -> None:
        self.name = uuid4().hex
        self.now_s = 100.0
        self.wanted_w = [IDLE_W, IDLE_W]
        self.nodes = [self._node(url, i, board if i == 0 else None) for i in range(2)]

    def _node(self, url: str, index: int, board: Board | None) -> Membership:
        terms = Terms(
            node=f"node-{index}",
            process=uuid4().hex,
            cap_w=CAP_W,
            guaranteed_w=2 * SHARE_W,
            share_w=SHARE_W,
        )
        link = RedisLink(RedisAccess(url), timeout_s=5.0)
        node = Membership(terms, self.name, link, board=board, clock=lambda: self.now_s)

        async def demand() -> tuple[float, float]:
            return self.wanted_w[index], IDLE_W

        node.demand = demand
        return node

    async def rounds(self, count: int) -> list[str]:
        outcomes: list[str] = []
        for _ in range(count):
            self.now_s += 0.5
            outcomes += [await node.round() for node in self.nodes]
        return outcomes


def play(url: str, story: Callable[[Site], Awaitable[None]], board: Board | None = None) -> None:
    async def run() -> None:
        site = Site(url, board=board)
        try:
            await story(site)
        finally:
            for node in site.nodes:
                await node.close()

    asyncio.run(run())


def test_a_node_borrows_and_on_its_end_gives_back_at_once(redis_server: RedisServer) -> None:
    async def story(site: Site) -> None:
        first, second = site.nodes
        site.wanted_w = [30.0, IDLE_W]
        assert {*await site.rounds(16)} == {"agreed"}
        assert first.cap_w() == SHARE_W + POOL_W
        await first.close()
        assert first.cap_w() == SHARE_W
        site.wanted_w = [IDLE_W, 30.0]
        site.nodes = [second]
        await site.rounds(1)
        assert second.cap_w() == SHARE_W + POOL_W

    play(redis_server.url, story)


def test_rounds_at_the_same_moment_are_agreed_one_after_the_other(
    redis_server: RedisServer,
) -> None:
    async def story(site: Site) -> None:
        for _ in range(8):
            site.now_s += 0.5
            outcomes = await asyncio.gather(*(node.round() for node in site.nodes))
            assert {*outcomes} == {"agreed"}

    play(redis_server.url, story)


def test_with_redis_gone_the_loan_runs_out_and_comes_back_later(start_redis: StartRedis) -> None:
    server = start_redis()

    async def story(site: Site) -> None:
        first = site.nodes[0]
        site.wanted_w = [30.0, IDLE_W]
        await site.rounds(16)
        server.kill()
        assert {*await site.rounds(2)} == {"unavailable"}
        assert first.cap_w() > SHARE_W
        await site.rounds(8)
        assert first.cap_w() == SHARE_W
        assert not first.reading().lent_for_s
        server.start()
        async with asyncio.timeout(20):
            while {*await site.rounds(1)} != {"agreed"}:  # once both breakers have closed
                await asyncio.sleep(0.05)
        await site.rounds(16)
        assert first.cap_w() == SHARE_W + POOL_W

    play(server.url, story)


def test_the_ledger_of_a_newer_release_is_left_alone(redis_server: RedisServer) -> None:
    async def story(site: Site) -> None:
        with redis_server.client() as client:
            client.set(site_key(site.name), b'{"form": 9}')
            assert {*await site.rounds(1)} == {"newer"}
            assert client.get(site_key(site.name)) == b'{"form": 9}'

    play(redis_server.url, story)


def test_others_of_the_node_follow_and_power_is_given_back_after_they_did(
    redis_server: RedisServer,
) -> None:
    board = Board()

    async def story(site: Site) -> None:
        follower = Follower(SHARE_W, board, clock=lambda: site.now_s)
        assert follower.cap_w() == SHARE_W
        site.wanted_w = [30.0, IDLE_W]
        await site.rounds(16)
        assert follower.cap_w() == SHARE_W + POOL_W
        site.wanted_w = [IDLE_W, 30.0]
        await site.rounds(1)
        assert follower.cap_w() == SHARE_W
        assert site.nodes[1].cap_w() == SHARE_W  # not yet: a process may not have heard of it
        await site.rounds(2)
        assert site.nodes[1].cap_w() == pytest.approx(SHARE_W + POOL_W)
        site.wanted_w = [30.0, IDLE_W]
        await site.rounds(3)
        assert follower.cap_w() > SHARE_W
        site.now_s += 4.0
        assert follower.cap_w() == SHARE_W  # the one that borrows was not heard of

    play(redis_server.url, story, board)
