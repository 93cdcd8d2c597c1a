"""A small ladder of variants with round costs, and a scheduler on it."""

from __future__ import annotations

from typing import Any

from app.scheduling.dispatch import Limits
from app.scheduling.menu import Menu
from app.scheduling.power_gate import PowerGate
from app.scheduling.scheduler import Scheduler
from app.scheduling.types import Budget, Request, VariantCost

# Ratio in thousandths: fixed ms, ms for each window, expected accuracy; 5 W while it runs.
LADDER = {0: (1.0, 8.0, 0.90), 500: (1.0, 4.0, 0.88), 900: (1.0, 1.0, 0.80)}
WATTS = 5.0


def costs(windows: int) -> list[VariantCost]:
    return [
        VariantCost(
            permille=permille,
            flops=int(1e6 * each_ms),
            latency_s=(fixed_ms + each_ms * windows) * 1e-3,
            energy_j=WATTS * (fixed_ms + each_ms * windows) * 1e-3,
            expected_accuracy=accuracy,
            batch=windows,
        )
        for permille, (fixed_ms, each_ms, accuracy) in LADDER.items()
    ]


def request(number: int, budget_ms: float | None = None, **fields: Any) -> Request:
    """A request received at time 0 of group ``a`` with one window, unless told otherwise."""
    asks = {
        name: fields.pop(name)
        for name in ("energy_j", "power_w", "accuracy_floor", "strict")
        if name in fields
    }
    budget = Budget(latency_s=None if budget_ms is None else budget_ms * 1e-3, **asks)
    return Request(**{"id": number, "group": "a", "received_s": 0.0, "budget": budget, **fields})


def scheduler(*, cap_w: float | None = None, policy: Any = None, **limits: Any) -> Scheduler:
    """A scheduler of one core without margins: what the profile says is what happens."""
    menus: dict[object, Menu] = {}
    made = Scheduler(
        lambda group: menus.setdefault(group, Menu(costs)),
        Limits(**{"cores": 1, **limits}),
        PowerGate(cap_w=cap_w, idle_power_w=3.0, now_s=0.0),
        policy=policy,
    )
    made.estimator.latency = made.estimator.latency.__class__(variance=0.0)
    made.estimator.energy = made.estimator.energy.__class__(variance=0.0)
    return made
