"""The real service while its Redis fails: no failed request, and hits again without a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from loadtests.mask_asks import SETTINGS, WANT_LARGEST, WANT_SMALLEST
from loadtests.redis_faults import ABSENT, FAULTS, Fault, Stage
from loadtests.redis_server import NoRedisError, redis_running
from loadtests.slow_relay import slow_relay
from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for

REQUESTS = 8
SLOW_S = 1.0  # far above what any request needs, far below what waiting for Redis would take
RECOVERY_DEADLINE_S = 20.0  # the measured run holds it to 2 s; a busy machine must not fail here
SENSORS = [f"sensor_{i}" for i in range(5)]
ASKS = [
    (present, headers)
    for headers in (WANT_LARGEST, WANT_SMALLEST)
    for present in (SENSORS[:4], SENSORS[1:])
]
"""In this order each needs another variant than the one in memory, and so its mask."""


@dataclass
class Served:
    """A service that needs Redis for every request, and that Redis."""

    service: HttpService
    stage: Stage
    turns: Iterator[int]

    def ask(self) -> None:
        """One request; it must be answered, and soon."""
        present, headers = ASKS[next(self.turns) % len(ASKS)]
        began_s = time.monotonic()
        response = self.service.client.post(
            "/v1/infer", json=self.service.window(*present), headers=headers
        )
        assert response.status_code == 200, response.text
        assert time.monotonic() - began_s < SLOW_S

    def looked_up(self, outcome: str) -> float:
        return (
            self.service.metric("sentryfuse_mask_cache_total", tier="redis", outcome=outcome) or 0.0
        )

    def failures(self, reason: str) -> float:
        return self.service.metric("sentryfuse_redis_failures_total", reason=reason) or 0.0

    def hits_again(self) -> bool:
        """Go on asking until a mask is found in Redis."""
        before, deadline_s = self.looked_up("hit"), time.monotonic() + RECOVERY_DEADLINE_S
        while time.monotonic() < deadline_s:
            self.ask()
            if self.looked_up("hit") > before:
                return True
        return False


def open_stage(stack: ExitStack, folder: Path) -> Stage:
    try:
        server = stack.enter_context(redis_running(folder, password="right"))
    except NoRedisError as error:
        pytest.skip(str(error))
    return Stage(server, stack.enter_context(slow_relay(server.port)))


def url_of(stage: Stage) -> str:
    return f"redis://:right@127.0.0.1:{stage.relay.port}/0"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for all faults: each must leave it as well as it was."""
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        stage = open_stage(stack, folder)
        service = start_service(folder, redis_url=url_of(stage), **SETTINGS)
        wait_for(service, "/health/ready")
        yield Served(service, stage, count())
        assert service.stop() == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_fails_no_request_and_redis_is_used_again_after_it(
    served: Served, fault: Fault
) -> None:
    for _ in range(2 * len(ASKS)):
        served.ask()
    assert served.hits_again()

    fault.strike(served.stage)
    try:
        for _ in range(REQUESTS):
            served.ask()
    finally:
        fault.end(served.stage)

    assert served.hits_again()
    assert served.service.metric("sentryfuse_redis_breaker_open") == 0
    assert served.service.client.get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("killed", "open", "unreachable"),
        ("paused", "open", "timeout"),
        ("wrong-password", "open", "authentication"),
        ("out-of-memory", "miss", "refused"),
        ("read-only", "miss", "refused"),
        ("newer-schema", "foreign", None),
        ("corrupted", "corrupt", None),
        ("swapped", "corrupt", None),
    ],
)
def test_a_fault_shows_in_the_metrics(
    served: Served, name: str, outcome: str, reason: str | None
) -> None:
    (fault,) = (f for f in FAULTS if f.name == name)
    for _ in range(2 * len(ASKS)):
        served.ask()
    looked_up, failures = served.looked_up(outcome), served.failures(reason or "")

    def shows() -> bool:
        told = reason is None or served.failures(reason) > failures
        return told and served.looked_up(outcome) > looked_up

    fault.strike(served.stage)
    try:
        deadline_s = time.monotonic() + RECOVERY_DEADLINE_S
        while not shows() and time.monotonic() < deadline_s:
            served.ask()
    finally:
        fault.end(served.stage)

    assert shows()
    assert served.hits_again()


def test_a_redis_that_comes_after_the_service_is_used(
    start_http: StartHttp, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stage = open_stage(stack, tmp_path)
        ABSENT.strike(stage)
        served = Served(start_http(redis_url=url_of(stage), **SETTINGS), stage, count())
        for _ in range(REQUESTS):
            served.ask()
        assert served.looked_up("hit") == 0

        ABSENT.end(stage)

        assert served.hits_again()
