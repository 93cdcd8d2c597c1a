"""The client: sends requests when they are due, whatever the server does.

Open loop: the schedule is fixed before the first request is sent, and no answer, refusal or
silence moves a later request. So a slow server can't slow the client down (coordinated omission);
latencies count from the scheduled time. It runs in a process of its own, sends bytes that were
made beforehand and reads answers after the last one is in, to take little of the cores that it
shares with the server.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from loadtests.alarm import Alarm
from loadtests.connections import Connections
from loadtests.exchange import Exchange
from loadtests.outcome import Outcome, read_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go, and how patiently."""

    host: str
    port: int
    connections: int = 16
    """Opened before the first request."""
    most_connections: int = 2048
    patience_s: float = 5.0
    """How long to wait for answers after the last request was due."""
    in_turn: bool = False
    """Use idle connections in turn, as many callers would; else the one that was used last."""
    read: Callable[[Exchange, float], Outcome] = read_outcome
    """Makes an outcome of an exchange that is over; one for servers that answer otherwise."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One request of a schedule."""

    at_s: float
    """After the start."""
    message: int
    """Which of the messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volley:
    """What became of every request, and what sending them took."""

    outcomes: tuple[Outcome, ...]
    """In the order of the schedule, one for each shot."""
    began_s: float
    """Reading of ``time.monotonic()`` that the outcomes' times count from."""
    duration_s: float
    cpu_s: float
    """CPU time of the client while requests were sent and answered."""


def replay(
    target: Target, messages: Sequence[bytes], schedule: Sequence[Shot], start_s: float
) -> Volley:
    """Send a schedule and return the outcome of every shot.

    Args:
        target: Where to.
        messages: Whole HTTP/1.1 requests, ready to be sent.
        schedule: When to send which; ascending times.
        start_s: Reading of ``time.monotonic()`` at which the schedule's clock begins; one that
            has passed means now.

    Raises:
        OSError: The server can't be reached at the start.
    """
    return _run(_OpenLoop(target, messages, schedule, start_s))


def saturate(
    target: Target, messages: Sequence[bytes], *, in_flight: int, seconds: float
) -> Volley:
    """Keep so many requests under way for a while: what the server can do, not how it feels.

    This one is a closed loop, to measure capacity; it is no source of latencies.
    """
    return _run(_ClosedLoop(target, messages, in_flight, seconds))


@contextmanager
def client_process(processes: int = 1) -> Iterator[Callable[..., Future[Volley]]]:
    """Yield a function that calls another one in a process that does nothing else.

    Args:
        processes: How many there are, for as many calls at a time.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        pool.submit(int).result()  # started and imported before anything is timed
        yield pool.submit


def _run(loop: _Loop) -> Volley:
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(loop.run())
        return loop.volley()
    finally:
        gc.enable()


class _Loop(ABC):
    """What both kinds of loop share: connections, a ledger of exchanges, and an end."""

    def __init__(self, target: Target, messages: Sequence[bytes], *, ahead: int) -> None:
        self._target = target
        self._ahead = ahead
        self._messages = messages
        self._exchanges: list[Exchange] = []
        self._under_way = 0
        self._connections = Connections(
            target.host,
            target.port,
            most=target.most_connections,
            in_turn=target.in_turn,
            on_over=self._over,
        )
        self._settled = asyncio.Event()
        self._began_s = self._ended_s = self._cpu_s = 0.0

    async def run(self) -> None:
        """Send everything and wait for the answers."""
        await self._connections.open(self._ahead)
        cpu_s = time.process_time()
        try:
            await self._fire()
        finally:
            self._connections.close()
            self._ended_s, self._cpu_s = time.monotonic(), time.process_time() - cpu_s

    def volley(self) -> Volley:
        """What became of it, read from the raw answers."""
        return Volley(
            outcomes=tuple(self._target.read(e, self._began_s) for e in self._exchanges),
            began_s=self._began_s,
            duration_s=self._ended_s - self._began_s,
            cpu_s=self._cpu_s,
        )

    @abstractmethod
    async def _fire(self) -> None:
        """Send everything and settle; connections are open."""

    def _send(self, scheduled_s: float, message: int) -> None:
        exchange = Exchange(scheduled_s, self._messages[message])
        self._exchanges.append(exchange)
        self._under_way += 1
        self._connections.send(exchange)

    def _over(self, exchange: Exchange) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._settled.set()

    async def _settle(self, until_s: float) -> None:
        """Wait for answers that are still under way, then give them up."""
        patience_s = max(until_s - time.monotonic(), 0.0) + self._target.patience_s
        try:
            async with asyncio.timeout(patience_s):
                while self._under_way:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            for exchange in self._exchanges:
                if not exchange.over:
                    exchange.error = f"no answer within {self._target.patience_s:g} s"


class _OpenLoop(_Loop):
    def __init__(
        self, target: Target, messages: Sequence[bytes], schedule: Sequence[Shot], start_s: float
    ) -> None:
        super().__init__(target, messages, ahead=target.connections)
        self._schedule = schedule
        self._start_s = start_s
        self._next = 0

    async def _fire(self) -> None:
        self._began_s = max(self._start_s, time.monotonic())
        self._alarm = Alarm(asyncio.get_running_loop(), self._due)
        last_s = self._schedule[-1].at_s if self._schedule else 0.0
        try:
            self._due()
            while self._next < len(self._schedule):
                await asyncio.sleep(0.05)
            await self._settle(self._began_s + last_s)
        finally:
            self._alarm.close()

    def _due(self) -> None:
        """Send all that is due, and be back for the next one."""
        schedule, began_s = self._schedule, self._began_s
        while self._next < len(schedule):
            shot = schedule[self._next]
            at_s = began_s + shot.at_s
            if at_s > time.monotonic():
                self._alarm.set(at_s)
                return
            self._next += 1
            self._send(at_s, shot.message)


class _ClosedLoop(_Loop):
    def __init__(
        self, target: Target, messages: Sequence[bytes], in_flight: int, seconds: float
    ) -> None:
        super().__init__(target, messages, ahead=in_flight)
        self._in_flight = in_flight
        self._seconds = seconds
        self._ends_s = 0.0

    async def _fire(self) -> None:
        self._began_s = time.monotonic()
        self._ends_s = self._began_s + self._seconds
        for _ in range(self._in_flight):
            self._under_way += 1
            self._again()
        await self._settle(self._ends_s)

    def _again(self) -> None:
        self._under_way -= 1  # that of the exchange which this one follows
        self._send(time.monotonic(), len(self._exchanges) % len(self._messages))

    def _over(self, exchange: Exchange) -> None:
        if time.monotonic() < self._ends_s and exchange.response:
            # Soon, not now: the connection is free once this call has returned.
            asyncio.get_running_loop().call_soon(self._again)
        else:
            super()._over(exchange)
