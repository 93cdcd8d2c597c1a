"""Requests of which every one makes the server ask Redis for a mask.

A server keeps masks and variants in memory and hardly ever needs Redis after its start. So it is
told to keep one variant and no mask at all, and requests take turns: each wants another variant
than the one before, the most accurate (no budget) or the smallest (an energy budget that nothing
keeps). Its variant must be built first, and for that its mask is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loadtests.messages import infer_message, request_body
from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence, all_presences

_LARGEST, _SMALLEST = 0, 900
SETTINGS: dict[str, Any] = {
    "ratios": f"{_LARGEST / 1000},{_SMALLEST / 1000}",
    "max_variants": 1,
    "mask_memory_bytes": 1,
    "warm_missing": 0,
    "warm_all": False,
}
WANT_LARGEST: dict[str, str] = {}
WANT_SMALLEST = {"X-Energy-Budget-mJ": "0.001"}


def asking_messages(bundle: Bundle, *, sensors: int, presences: int = 6) -> tuple[bytes, ...]:
    """Make messages to be sent in this order, again and again.

    Args:
        bundle: Of the model that is asked.
        sensors: Least number of sensors in a request; fewer of them are built faster.
        presences: How many sets of sensors take turns.
    """
    chosen = list(_presences(bundle, sensors))[:presences]
    return tuple(
        infer_message(request_body(bundle, presence.bits, seed=presence.bits), headers)
        for headers in (WANT_LARGEST, WANT_SMALLEST)
        for presence in chosen
    )


def _presences(bundle: Bundle, least: int) -> Iterator[Presence]:
    """Sets where the largest variant is expected to be more accurate, fewest sensors first."""
    most = len(bundle.spec.modalities)
    for sensors in range(least, most):
        for presence in all_presences(most, most - sensors):
            expected = bundle.accuracy.expected
            if expected(presence, _LARGEST) > expected(presence, _SMALLEST):
                yield presence
