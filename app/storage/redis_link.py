"""The one way to Redis: short timeout, no retries, behind a breaker."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal

from app.storage.breaker import Breaker
from app.storage.keys import PROBE_KEY
from app.storage.redis_access import RedisAccess
from app.storage.redis_failure import Failure, OnFailure, ignore_failure
from sentryfuse.errors import ConfigError

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 0.02
DEFAULT_TTL_S = 7 * 86_400.0
DEFAULT_PROBE_EVERY_S = 0.5

_CONNECT_TIMEOUT_S = 1.0  # of the connection itself; no caller waits for it that long
_PATIENT_S = 0.25  # where nobody's answer depends on it, and for what was sent to come back
_MAX_CONNECTIONS = 8
_MAX_RUNNING = 64
_KEYS_PER_COMMAND = 64  # keeps one MGET of masks well within the timeout
_TTL_JITTER = 0.1
_QUIET_S = 60.0  # between warnings about the same kind of failure
_PROBE_JITTER = 0.25  # replicas that lost one Redis together do not come back in step


class Unavailable(Exception):  # noqa: N818  (caught within storage: an outcome, not a fault)
    """Redis gave no usable answer in time, or was not asked because the breaker is open."""

    def __init__(self, outcome: Literal["error", "open"]) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class RedisLink:
    """Reads and writes small values in Redis without ever holding a request up.

    A caller waits at most ``timeout_s``. The command itself is not cancelled then but runs out
    by its own socket timeouts: a connection is never left half-read, and one that takes long to
    set up still serves the next caller. While the breaker is open no caller waits at all: a task
    beside them tries Redis until it answers in time again.

    Args:
        access: Where Redis is, and how to be let in.
        timeout_s: Longest wait of a caller, for all of connecting, sending and reading.
        breaker: Decides whether to ask at all.
        probe_every_s: How often a Redis that failed is tried, give or take a quarter.
        clock: Monotone seconds.
        rng: Spreads times to live, so that keys written together do not die together.
        on_failure: Told why commands got no usable answer.

    Raises:
        ConfigError: The ``redis`` package is not installed, the URL makes no sense, or a file
            can't be used.
    """

    def __init__(
        self,
        access: RedisAccess,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        breaker: Breaker | None = None,
        probe_every_s: float = DEFAULT_PROBE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        on_failure: OnFailure = ignore_failure,
    ) -> None:
        if not timeout_s > 0:
            raise ConfigError(f"the Redis timeout must be positive, got {timeout_s}")
        try:
            from redis.asyncio import Redis

            from app.storage import redis_client
        except ImportError as error:
            raise ConfigError(
                "a Redis URL is set but the redis package is missing: "
                "pip install 'sentryfuse[redis]'"
            ) from error
        self.breaker = breaker or Breaker()
        self._timeout_s = timeout_s
        self._probe_every_s = probe_every_s
        self._clock = clock
        self._rng = rng or random.Random()
        self._on_failure = on_failure
        self._failure_of = redis_client.failure_of
        self._pool = redis_client.open_pool(
            access,
            wait_s=timeout_s,
            socket_s=max(timeout_s, _PATIENT_S),
            connect_s=_CONNECT_TIMEOUT_S,
            max_connections=_MAX_CONNECTIONS,
        )
        self._redis = Redis(connection_pool=self._pool)
        self._running: set[asyncio.Task[object]] = set()
        self._prober: asyncio.Task[None] | None = None
        self._quiet_until_s: dict[Failure, float] = {}

    async def connect(self) -> bool:
        """Have Redis answer once before anything waits for it.

        Returns:
            Whether it did, in time. If not, it is left alone until it does.
        """
        if await self._answers():
            return True
        self.breaker.trip()
        self._keep_probing()
        return False

    async def fetch(self, keys: Sequence[str], *, patient: bool = False) -> list[bytes | None]:
        """Read the values of these keys, None where there is none.

        Args:
            keys: Any number.
            patient: Wait longer than a request may.

        Raises:
            Unavailable: Redis was not asked, or gave no usable answer in time.
        """
        wait_s = max(self._timeout_s, _PATIENT_S) if patient else self._timeout_s
        values: list[bytes | None] = []
        for start in range(0, len(keys), _KEYS_PER_COMMAND):
            chunk = list(keys[start : start + _KEYS_PER_COMMAND])
            answer = await self._ask(partial(self._redis.mget, chunk), wait_s)
            if not isinstance(answer, list) or len(answer) != len(chunk):
                self._note("protocol", "an answer that is none to MGET")
                raise Unavailable("error")
            values += [value if isinstance(value, bytes) else None for value in answer]
        return values

    async def store(self, key: str, value: bytes, *, ttl_s: float, replace: bool = False) -> None:
        """Write a value with a jittered time to live; unless ``replace``, the first writer wins.

        Raises:
            Unavailable: Redis was not asked, did not answer in time or refused.
        """
        spread = self._rng.uniform(1 - _TTL_JITTER, 1 + _TTL_JITTER)
        expire_s = max(round(ttl_s * spread), 1)
        await self._ask(
            partial(self._redis.set, key, value, ex=expire_s, nx=not replace), self._timeout_s
        )

    async def evaluate(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> object:
        """Have Redis run a script, which takes longer than a request may wait.

        Raises:
            Unavailable: Redis was not asked, refused, or gave no answer in time; the script may
                run yet.
        """
        run = partial(self._redis.eval, script, len(keys), *keys, *arguments)
        return await self._ask(run, max(self._timeout_s, _PATIENT_S))

    async def close(self) -> None:
        """Close the connections; commands still running are given up."""
        tasks: list[asyncio.Task[object] | asyncio.Task[None]] = [*self._running]
        if self._prober is not None:
            tasks.append(self._prober)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pool.disconnect()

    async def _ask(self, command: Callable[[], Awaitable[object]], wait_s: float) -> object:
        if self.breaker.open:
            raise Unavailable("open")
        try:
            answer = await self._carried_out(command, wait_s)
        except _Failed as failed:
            self._note(failed.failure, failed.reason)
            # A refusal (read-only, out of memory, no permission) proves that Redis is there.
            if failed.failure == "refused":
                self.breaker.succeeded()
            elif failed.failure != "busy":
                self._count_failure(failed)
            raise Unavailable("error") from failed
        self._note_answer()
        return answer

    async def _carried_out(self, command: Callable[[], Awaitable[object]], wait_s: float) -> object:
        """Run a command and wait so long for it.

        Raises:
            _Failed: There is no usable answer by then.
        """
        if len(self._running) >= _MAX_RUNNING:
            raise _Failed("busy", f"{_MAX_RUNNING} commands wait for an answer")
        task = asyncio.create_task(_run(command))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=wait_s)
        if not task.done() or task.cancelled():
            raise _Failed("timeout", f"no answer within {wait_s * 1e3:g} ms")
        error = task.exception()
        if error is not None:
            raise _Failed(self._failure_of(error), str(error)) from error
        return task.result()

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # an abandoned command's error was already counted as a timeout

    async def _answers(self) -> bool:
        """Find out whether Redis would answer a request in time, once connected."""
        read = partial(self._redis.mget, [PROBE_KEY])
        try:
            await self._carried_out(read, _CONNECT_TIMEOUT_S)
            await self._carried_out(read, self._timeout_s)
        except _Failed as failed:
            self._note(failed.failure, failed.reason)
            return failed.failure == "refused"
        return True

    async def _probe(self) -> None:
        spread = (1 - _PROBE_JITTER, 1 + _PROBE_JITTER)
        while self.breaker.open:
            await asyncio.sleep(self._probe_every_s * self._rng.uniform(*spread))
            if await self._answers():
                self._note_answer()

    def _keep_probing(self) -> None:
        if self._prober is None or self._prober.done():
            self._prober = asyncio.create_task(self._probe())

    def _note_answer(self) -> None:
        if self.breaker.open:
            logger.info("redis answers again")
        self.breaker.succeeded()

    def _count_failure(self, failed: _Failed) -> None:
        if self.breaker.open:
            return
        self.breaker.failed()
        if self.breaker.open:
            logger.warning("redis is left alone until it answers again: %s", failed.reason)
            self._keep_probing()

    def _note(self, failure: Failure, reason: str) -> None:
        """Count a failure; tell of each kind once in a while only, for it may come many times."""
        self._on_failure(failure)
        now_s = self._clock()
        tell = now_s >= self._quiet_until_s.get(failure, now_s)
        if tell:
            self._quiet_until_s[failure] = now_s + _QUIET_S
        level = logging.WARNING if tell else logging.DEBUG
        logger.log(level, "redis failed (%s): %s", failure, reason)


class _Failed(Exception):  # noqa: N818  (an outcome too)
    """One command without a usable answer."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure: Failure = failure
        self.reason = reason


async def _run(command: Callable[[], Awaitable[object]]) -> object:
    return await command()
