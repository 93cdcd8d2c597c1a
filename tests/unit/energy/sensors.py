"""Sensors that say what a test tells them to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from sentryfuse.energy import (
    CounterMeter,
    Covers,
    EnergyZone,
    Fault,
    IdlePower,
    PolledMeter,
    PowerIntegrator,
    Quality,
)


class Value:
    """A raw reading that a test changes; it counts who read it."""

    def __init__(self, value: float | None) -> None:
        self.value = value
        self.reads = 0

    def __call__(self) -> float | None:
        self.reads += 1
        return self.value


class ScriptedMeter:
    """A sensor's meter whose sum and trouble a test sets."""

    quality: Quality = "measured"
    covers: Covers = "node"
    failovers = 0

    def __init__(self, source: str = "rapl", *, idle_power_w: float = 1.0) -> None:
        self.source = source
        self.idle_power_w = idle_power_w
        self.total_j = 0.0
        self.trouble: Fault | None = None
        self.faults: Mapping[Fault, int] = {}
        self.closed = threading.Event()

    def joules(self) -> float:
        return self.total_j

    def close(self) -> None:
        self.closed.set()


def counter_meter(
    clock: Callable[[], float], zones: Sequence[EnergyZone], *, inline: bool = True
) -> CounterMeter:
    """A meter over counters, whose thread is not started."""
    return CounterMeter(
        "rapl",
        zones,
        idle=IdlePower(None, default_w=3.0),
        clock=clock,
        period_s=30.0,
        inline=inline,
    )


def polled_meter(
    clock: Callable[[], float],
    read_w: Callable[[], float | None],
    *,
    max_gap_s: float = 5.0,
    frozen_after_s: float = 60.0,
) -> PolledMeter:
    """A meter over a power, whose thread is not started: tests call ``sample()``."""
    return PolledMeter(
        "jetson",
        read_w,
        integrator=PowerIntegrator(
            started_s=clock(), max_gap_s=max_gap_s, frozen_after_s=frozen_after_s
        ),
        idle=IdlePower(None, default_w=3.0),
        clock=clock,
        period_s=0.1,
    )
