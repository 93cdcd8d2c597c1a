"""A lineup with round costs and nothing behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from app.inference.ladder import Rung
from app.inference.lineup import Lineup
from app.inference.registry import Resident, VariantRegistry
from app.scheduling import VariantCost
from sentryfuse.presence import Presence

# Seconds, joules and expected accuracy by ratio in thousandths, for one window.
COSTS = {0: (0.010, 0.050, 0.9), 500: (0.005, 0.025, 0.85), 900: (0.002, 0.010, 0.7)}
ALL = frozenset(COSTS)


class Held:
    """In place of a registry: holds what it is told to, without variants."""

    def __init__(self, permilles: Iterable[int]) -> None:
        self.permilles = set(permilles)

    def held(self, presence: Presence, permilles: Iterable[int]) -> dict[int, Resident]:
        return {p: cast(Resident, object()) for p in permilles if p in self.permilles}

    def find(self, presence: Presence, permille: int) -> Resident | None:
        return self.held(presence, [permille]).get(permille)


def price(rungs: Sequence[Rung], windows: int) -> tuple[VariantCost, ...]:
    return tuple(
        VariantCost(
            permille=rung.permille,
            flops=rung.flops,
            latency_s=COSTS[rung.permille][0] * windows,
            energy_j=COSTS[rung.permille][1] * windows,
            expected_accuracy=rung.expected_accuracy,
            batch=windows,
        )
        for rung in rungs
    )


def lineup(in_memory: Iterable[int] = ALL, registry: Any = None) -> Lineup:
    """What can be run for one presence; by default every ratio is in memory."""
    rungs = [
        Rung(permille, flops=round(1e9 * latency_s), expected_accuracy=accuracy)
        for permille, (latency_s, _, accuracy) in COSTS.items()
    ]
    held = registry or cast(VariantRegistry, Held(in_memory))
    return Lineup(Presence.full(1), rungs, price, held)
