"""A call from its first sending to its result: decides, and leaves sending and waiting to others.

The same generator is driven by the synchronous and by the asynchronous client, and by tests
with no network and no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import monotonic

from app.client.errors import ClientError, ConnectionFailedError, DeadlineError
from app.client.refusals import error_of
from app.client.retries import Retries
from app.client.wire import Call, Failure, Outcome, Program, Reply, Send, Sleep, T

LATENCY_HEADER = "X-Latency-Budget-Ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Clocks and chance; tests bring their own."""

    clock: Callable[[], float] = monotonic
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    random: Random


def carry_out(
    call: Call[T], *, deadline_s: float, retries: Retries, surroundings: Surroundings
) -> Program[T]:
    """Send a call until it is answered, is not worth repeating, or its time is up.

    Args:
        call: The call.
        deadline_s: Time for all of it, waits included.
        retries: When it is sent again.
        surroundings: Clocks and chance.

    Raises:
        ClientError: The last thing that went wrong.
    """
    began_s = surroundings.clock()
    attempt = 0
    while True:
        attempt += 1
        left_s = deadline_s - (surroundings.clock() - began_s)
        if left_s <= 0:
            raise _too_late(deadline_s, attempt - 1)
        outcome = yield _sending(call, left_s)
        assert outcome is not None
        if isinstance(outcome, Reply) and outcome.status == 200:
            return call.read(outcome)
        trouble = _trouble(outcome, surroundings.wall_clock())
        wait_s = retries.wait_s(
            trouble,
            attempt=attempt,
            left_s=deadline_s - (surroundings.clock() - began_s),
            chance=surroundings.random.random(),
            repeatable=call.repeatable,
        )
        if wait_s is None:
            raise _raised(trouble, deadline_s, attempt)
        yield Sleep(wait_s)


def _sending(call: Call[T], left_s: float) -> Send:
    headers = dict(call.headers)
    if call.latency_s is not None:
        headers[LATENCY_HEADER] = f"{1e3 * min(call.latency_s, left_s):.6g}"
    return Send(call.method, call.path, call.query, headers, call.content, left_s)


def _trouble(outcome: Outcome, now: datetime) -> Failure | ClientError:
    return outcome if isinstance(outcome, Failure) else error_of(outcome, now)


def _raised(trouble: Failure | ClientError, deadline_s: float, attempts: int) -> ClientError:
    if isinstance(trouble, ClientError):
        return trouble
    if trouble.kind == "timeout":
        return _too_late(deadline_s, attempts)
    return ConnectionFailedError(f"{trouble.message} ({_times(attempts)})")


def _too_late(deadline_s: float, attempts: int) -> DeadlineError:
    return DeadlineError(f"no answer within {deadline_s:.3g} s ({_times(attempts)})")


def _times(attempts: int) -> str:
    return "sent once" if attempts == 1 else f"sent {attempts} times"
