"""Seeded request traces: when who asks, and what happens to the node meanwhile.

The simulator and the load tests replay the same traces. Everything random is drawn from
``numpy.random.Generator``s of the trace's name and seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sentryfuse.energy.cpu_time import IDLE_POWER_W, WATTS_PER_CORE
from sentryfuse.errors import ConfigError

Times = NDArray[np.float64]
Bits = NDArray[np.int64]

_BASE_SHARE = 0.25  # of a bursty trace's requests that come like clockwork (SuperServe, 6.1)
_ACCELERATION = (0.5, 1.5)  # rate before and after, as parts of the mean
_WEARERS = 8  # who send requests in turns by chance; each has sensors that work and that don't
_UP_S, _DOWN_S = 2.0, 2.0  # mean time that a sensor is there, and that it is away
_QUIET_S, _STOLEN_S = 2.0, 1.5  # mean stretch without and with a busy neighbour
_STOLEN_FACTOR = (1.5, 2.5)
_CAP_STEPS = 96  # of a day: a quarter of an hour each
_NIGHT = 0.35  # of the cores' active power, from the battery
_NOON = 1.1
_CLOUD = 0.06  # mean of what each quarter of an hour may take off the clearness of the sky
_WRONG = {"profile-slow": 1.5, "profile-fast": 0.5}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request."""

    at_s: float
    presence_bits: int
    """Modalities present; bit i is modality i of the bundle."""
    windows: int = 1
    model: str = ""
    """Which of several models is asked; empty for the default one. The simulator has only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests in the order of their arrival, and the weather they meet.

    ``caps`` and ``slowdowns`` are steps (time, value): each value holds until the next.
    """

    name: str
    seed: int
    duration_s: float
    deadline_s: float
    """Latency budget of every request."""
    arrivals: tuple[Arrival, ...]
    caps: tuple[tuple[float, float | None], ...] = ((0.0, None),)
    """Power cap of the node in watts; None for none."""
    slowdowns: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    """Factor on every latency, by a neighbour that takes CPU time away."""
    profile_error: float = 1.0
    """What the scheduler is told an inference takes, over what it takes."""


def make_trace(
    name: str,
    *,
    rate_hz: float,
    duration_s: float,
    deadline_s: float,
    seed: int,
    num_modalities: int,
    idle_power_w: float = IDLE_POWER_W,
    active_power_w: float = 2 * WATTS_PER_CORE,
) -> Trace:
    """Draw one trace.

    Args:
        name: One of :data:`TRACES`.
        rate_hz: Mean requests per second over the trace.
        duration_s: Length.
        deadline_s: Latency budget of every request.
        seed: Traces of one name and seed are equal.
        num_modalities: Sensors of the model.
        idle_power_w: Of the node, for a power cap.
        active_power_w: What all cores at work add to it, for a power cap.

    Raises:
        ConfigError: The name is unknown, or a quantity is not positive.
    """
    if name not in _ARRIVALS:
        raise ConfigError(f"trace must be one of {', '.join(TRACES)}, got {name!r}")
    for what, value in (
        ("rate_hz", rate_hz),
        ("duration_s", duration_s),
        ("deadline_s", deadline_s),
        ("num_modalities", num_modalities),
    ):
        if not 0 < value < math.inf:
            raise ConfigError(f"{what} must be positive and finite, got {value}")
    rng = np.random.default_rng([crc32(name.encode()), seed])
    times = _ARRIVALS[name](rng, rate_hz, duration_s)
    presences = dropout if name == "dropout" else steady
    return Trace(
        name=name,
        seed=seed,
        duration_s=duration_s,
        deadline_s=deadline_s,
        arrivals=tuple(
            map(Arrival, times.tolist(), presences(rng, times, num_modalities).tolist())
        ),
        caps=_solar(rng, duration_s, idle_power_w, active_power_w)
        if name == "solar"
        else ((0.0, None),),
        slowdowns=_neighbour(rng, duration_s) if name == "neighbour" else ((0.0, 1.0),),
        profile_error=_WRONG.get(name, 1.0),
    )


def _poisson(rng: np.random.Generator, rate_hz: float, duration_s: float) -> Times:
    return renewal(rng, rate_hz, duration_s, squared_variation=1.0)


def _bursts(squared_variation: float) -> Callable[[np.random.Generator, float, float], Times]:
    """SuperServe's bursty traces: a constant base and gamma inter-arrivals (NSDI 2025, 6.1)."""

    def draw(rng: np.random.Generator, rate_hz: float, duration_s: float) -> Times:
        base = np.arange(0.0, duration_s, 1 / (_BASE_SHARE * rate_hz))
        rest = renewal(rng, (1 - _BASE_SHARE) * rate_hz, duration_s, squared_variation)
        return np.sort(np.concatenate([base, rest]))

    return draw


def _acceleration(rng: np.random.Generator, rate_hz: float, duration_s: float) -> Times:
    """Hold a low rate, ramp up at a constant acceleration, hold a high one; CV² = 8."""
    knots_s = np.array([0.0, 0.4, 0.6, 1.0]) * duration_s
    rates_hz = np.array([_ACCELERATION[i] for i in (0, 0, 1, 1)]) * rate_hz
    grid_s = np.linspace(0.0, duration_s, 1001)
    density_hz = np.interp(grid_s, knots_s, rates_hz)
    steps = np.diff(grid_s) * (density_hz[1:] + density_hz[:-1]) / 2
    expected = np.concatenate([[0.0], np.cumsum(steps)])
    ranks = renewal(rng, 1.0, float(expected[-1]), squared_variation=8.0)
    times: Times = np.interp(ranks, expected, grid_s)
    return times


def renewal(
    rng: np.random.Generator, rate_hz: float, duration_s: float, squared_variation: float
) -> Times:
    """Arrivals whose gaps are gamma distributed, with this squared coefficient of variation."""
    count = int(rate_hz * duration_s + 10 * math.sqrt(rate_hz * duration_s * squared_variation))
    gaps = rng.gamma(1 / squared_variation, squared_variation / rate_hz, size=count + 10)
    times: Times = np.cumsum(gaps)
    return times[times < duration_s]


_ARRIVALS: dict[str, Callable[[np.random.Generator, float, float], Times]] = {
    "poisson": _poisson,
    "bursts-2": _bursts(2.0),
    "bursts-4": _bursts(4.0),
    "bursts-8": _bursts(8.0),
    "acceleration": _acceleration,
    "solar": _poisson,
    "dropout": _poisson,
    "neighbour": _poisson,
    "profile-slow": _poisson,
    "profile-fast": _poisson,
}

TRACES = tuple(_ARRIVALS)
"""Names of the traces."""


def steady(rng: np.random.Generator, times: Times, num_modalities: int) -> Bits:
    """Presence of each request: every wearer has one of the sets of sensors, each as likely."""
    worn = rng.integers(1, 2**num_modalities, size=_WEARERS)
    return worn[rng.integers(_WEARERS, size=len(times))]


def dropout(
    rng: np.random.Generator,
    times: Times,
    num_modalities: int,
    *,
    up_s: float = _UP_S,
    down_s: float = _DOWN_S,
) -> Bits:
    """Presence of each request: every wearer's every sensor is a two-state Markov chain.

    When the last sensor would go, it stays until another comes back.

    Args:
        rng: Of everything left to chance.
        times: Of the requests, ascending.
        num_modalities: Sensors of the model.
        up_s: Mean time that a sensor is there.
        down_s: Mean time that it is away.
    """
    wearers = rng.integers(_WEARERS, size=len(times))
    bits = np.empty(len(times), dtype=np.int64)
    for wearer in range(_WEARERS):
        asks = wearers == wearer
        since_s, worn = _sensors_of_one(
            rng, float(times[-1]) if len(times) else 0.0, num_modalities, up_s, down_s
        )
        bits[asks] = worn[np.searchsorted(since_s, times[asks], side="right") - 1]
    return bits


def _sensors_of_one(
    rng: np.random.Generator, duration_s: float, num_modalities: int, up_s: float, down_s: float
) -> tuple[Times, Bits]:
    """Steps of one wearer's presence: since when, and which."""
    up = rng.random(num_modalities) < up_s / (up_s + down_s)
    change_s = rng.exponential(np.where(up, up_s, down_s))
    changed = int(rng.integers(num_modalities))
    weights = 1 << np.arange(num_modalities)
    since_s, worn = [0.0], [int(up @ weights) or 1 << changed]
    while change_s.min() <= duration_s:
        changed = int(change_s.argmin())
        up[changed] ^= True
        since_s.append(float(change_s[changed]))
        worn.append(int(up @ weights) or 1 << changed)
        change_s[changed] += rng.exponential(up_s if up[changed] else down_s)
    return np.array(since_s), np.array(worn)


def _neighbour(rng: np.random.Generator, duration_s: float) -> tuple[tuple[float, float], ...]:
    steps, now_s, stolen = [(0.0, 1.0)], 0.0, False
    while (now_s := now_s + rng.exponential(_STOLEN_S if stolen else _QUIET_S)) < duration_s:
        stolen = not stolen
        steps.append((now_s, float(rng.uniform(*_STOLEN_FACTOR)) if stolen else 1.0))
    return tuple(steps)


def _solar(
    rng: np.random.Generator, duration_s: float, idle_power_w: float, active_power_w: float
) -> tuple[tuple[float, float | None], ...]:
    """A day from midnight to midnight: a battery at night, sun behind passing clouds by day."""
    clearness, steps = 1.0, []
    for step in range(_CAP_STEPS):
        height = max(-math.cos(2 * math.pi * step / _CAP_STEPS), 0.0)
        clearness = 1 + 0.8 * (clearness - 1) - float(rng.exponential(_CLOUD))
        clearness = min(max(clearness, 0.2), 1.0)
        share = max(_NOON * height * clearness, _NIGHT)
        steps.append((step / _CAP_STEPS * duration_s, idle_power_w + active_power_w * share))
    return tuple(steps)
