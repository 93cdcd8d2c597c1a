"""The one way to Redis: short timeout, no retries, behind a breaker."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from app.storage.breaker import Breaker
from sentryfuse.errors import ConfigError

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool, Redis

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 0.02
DEFAULT_TTL_S = 7 * 86_400.0

_CONNECT_TIMEOUT_S = 1.0  # of the connection itself; no caller waits for it that long
_MAX_CONNECTIONS = 8
_MAX_RUNNING = 64
_KEYS_PER_COMMAND = 64  # keeps one MGET of masks well within the timeout
_TTL_JITTER = 0.1


class Unavailable(Exception):  # noqa: N818  (caught within storage: an outcome, not a fault)
    """Redis gave no usable answer in time, or was not asked because the breaker is open."""

    def __init__(self, outcome: Literal["error", "open"]) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class RedisLink:
    """Reads and writes small values in Redis without ever holding a request up.

    A caller waits at most ``timeout_s``. The command itself is not cancelled then but runs out
    by its own socket timeouts: a connection is never left half-read, and one that takes long to
    set up still serves the next caller.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``; its query can't loosen the timeouts.
        timeout_s: Longest wait of a caller, for all of connecting, sending and reading.
        breaker: Decides whether to ask at all.
        clock: Monotone seconds, for the breaker.
        rng: Spreads times to live, so that keys written together do not die together.

    Raises:
        ConfigError: The ``redis`` package is not installed, or the URL makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        if not timeout_s > 0:
            raise ConfigError(f"the Redis timeout must be positive, got {timeout_s}")
        self.breaker = breaker or Breaker()
        self._timeout_s = timeout_s
        self._clock = clock
        self._rng = rng or random.Random()
        self._pool, self._redis = _connect_lazily(url, timeout_s)
        self._running: set[asyncio.Task[object]] = set()

    async def warm_up(self) -> bool:
        """Connect ahead of the first request: try until Redis answers or the breaker opens.

        Returns:
            Whether Redis answered; if not, whoever needs it later tries again.
        """
        while not self.breaker.open:
            try:
                await self._ask(self._redis.ping)
            except Unavailable:
                await asyncio.sleep(self._timeout_s)
            else:
                return True
        return False

    async def fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read the values of these keys, None where there is none.

        Raises:
            Unavailable: Redis was not asked, or gave no usable answer in time.
        """
        values: list[bytes | None] = []
        for start in range(0, len(keys), _KEYS_PER_COMMAND):
            chunk = list(keys[start : start + _KEYS_PER_COMMAND])
            answer = await self._ask(partial(self._redis.mget, chunk))
            if not isinstance(answer, list) or len(answer) != len(chunk):
                logger.warning("redis gave an answer that is none to MGET")
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
        await self._ask(partial(self._redis.set, key, value, ex=expire_s, nx=not replace))

    async def close(self) -> None:
        """Close the connections; commands still running are given up."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._pool.disconnect()

    async def _ask(self, command: Callable[[], Awaitable[object]]) -> object:
        if len(self._running) >= _MAX_RUNNING:
            raise Unavailable("error")
        if not self.breaker.allows(self._clock()):
            raise Unavailable("open")
        task = asyncio.create_task(_run(command))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=self._timeout_s)
        if not task.done() or task.cancelled():
            self._note_failure(TimeoutError(f"no answer within {self._timeout_s * 1e3:g} ms"))
            raise Unavailable("error")
        error = task.exception()
        if error is None:
            self._note_answer()
            return task.result()
        if _is_a_reply(error):
            # A refusal (read-only, out of memory, no permission) proves that Redis is there.
            logger.warning("redis refused: %s", error)
            self._note_answer()
        else:
            self._note_failure(error)
        raise Unavailable("error") from error

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # an abandoned command's error was already counted as a timeout

    def _note_answer(self) -> None:
        if self.breaker.open:
            logger.info("redis answers again")
        self.breaker.succeeded()

    def _note_failure(self, error: BaseException) -> None:
        was_open = self.breaker.open
        self.breaker.failed(self._clock())
        if self.breaker.open and not was_open:
            logger.warning("redis is not asked for a while: %s", error)
        else:
            logger.info("redis failed: %s", error)


async def _run(command: Callable[[], Awaitable[object]]) -> object:
    return await command()


def _is_a_reply(error: BaseException) -> bool:
    from redis.exceptions import ResponseError

    return isinstance(error, ResponseError)


def _connect_lazily(url: str, timeout_s: float) -> tuple[BlockingConnectionPool, Redis]:
    """Prepare a pool for this URL; nothing is sent before the first command."""
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.connection import parse_url
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise ConfigError(
            "a Redis URL is set but the redis package is missing: pip install 'sentryfuse[redis]'"
        ) from error
    try:
        options: dict[str, Any] = dict(parse_url(url))
        # Ours come last: what the URL's query says of them does not count.
        options |= {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "max_connections": _MAX_CONNECTIONS,
            "timeout": timeout_s,
            "decode_responses": False,
            "protocol": 2,
        }
        pool = BlockingConnectionPool(**options)
        pool.connection_class(**pool.connection_kwargs)  # refuses options it does not know
    except (ValueError, TypeError):
        # Neither the URL nor the parser's words are repeated: they may hold a password.
        raise ConfigError(
            "the Redis URL makes no sense: it must be redis://[user:password@]host[:port][/db], "
            "rediss://... or unix://path, special characters in the password percent-encoded, "
            "with no option that redis-py does not know"
        ) from None
    return pool, Redis(connection_pool=pool)
