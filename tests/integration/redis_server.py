"""A real redis-server for each test that asks, on a free port, and nothing it did not start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from loadtests.redis_server import NoRedisError, RedisServer, free_port, redis_running

__all__ = ["RedisServer", "StartRedis", "bundle_digest", "free_port", "redis_server", "start_redis"]

StartRedis = Callable[..., RedisServer]


def _started(stack: ExitStack, folder: Path, *options: str, **more: str | None) -> RedisServer:
    try:
        return stack.enter_context(redis_running(folder, *options, **more))
    except NoRedisError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One healthy server shared by all tests: each keeps to keys of its own."""
    with ExitStack() as stack:
        yield _started(stack, tmp_path_factory.mktemp("redis"))


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    """Starts servers that a test may maltreat."""
    with ExitStack() as stack:

        def start(*options: str, password: str | None = None) -> RedisServer:
            return _started(stack, tmp_path, *options, password=password)

        yield start


@pytest.fixture
def bundle_digest() -> str:
    """A digest that no other test has: the key prefix of this test alone."""
    return uuid4().hex
