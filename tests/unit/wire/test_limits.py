from __future__ import annotations

import asyncio

import pytest

from app.wire.limits import ConnectionLimits, Phase
from app.wire.watch import ConnectionWatch

LIMITS = ConnectionLimits(most=3, most_of_client=2, head_s=10, body_s=30, head_bytes=1000)


@pytest.mark.parametrize(
    ("others", "of_client", "refusal"),
    [(0, 0, None), (2, 1, None), (2, 2, "client_full"), (3, 0, "full"), (3, 3, "full")],
)
def test_when_another_connection_may_be_opened(
    others: int, of_client: int, refusal: str | None
) -> None:
    assert LIMITS.refusal(others, of_client) == refusal


@pytest.mark.parametrize(
    ("phase", "seconds", "reason"),
    [
        ("idle", 1e6, None),
        ("head", 10, None),
        ("head", 10.1, "head_timeout"),
        ("body", 30, None),
        ("body", 30.1, "body_timeout"),
        ("closing", 30.1, "stuck"),
    ],
)
def test_when_a_connection_is_overdue(phase: Phase, seconds: float, reason: str | None) -> None:
    assert LIMITS.overdue(phase, seconds) == reason


class Silent:
    """A connection that breaks no limit."""

    def look(self, now_s: float) -> None:
        pass


def test_who_closes_a_connection_may_open_another() -> None:
    async def scenario() -> list[str | None]:
        watch, first = ConnectionWatch(LIMITS), Silent()
        told = [watch.opened(first, "1.2.3.4", 0), watch.opened(Silent(), "1.2.3.4", 1)]
        told.append(watch.opened(Silent(), "1.2.3.4", 2))
        watch.closed(first, "1.2.3.4")
        watch.closed(first, "1.2.3.4")  # a second time changes nothing
        told.append(watch.opened(Silent(), "1.2.3.4", 2))
        return told

    # The third was refused, and counts until it is closed.
    assert asyncio.run(scenario()) == [None, None, "client_full", "client_full"]
