"""The requests of a scenario, and the weather they meet, as a trace."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from loadtests.play.keys import check_names
from loadtests.play.sheet import CapStep, NeighbourSheet, Sheet
from sentryfuse.bench.policies.traces import Arrival, Times, Trace, dropout, renewal, steady
from sentryfuse.errors import ConfigError

SECONDS = 60.0
"""How long a scenario lasts that does not say."""

_COLUMNS = ("at_s", "sensors", "windows", "model")


def draw_trace(
    sheet: Sheet,
    *,
    rate_hz: float | None,
    sensors: Sequence[str],
    models: Sequence[str] = ("",),
    idle_w: float = 0.0,
    free_w: float | None = None,
) -> Trace:
    """Draw the requests of a scenario; the same sheet and rate always give the same ones.

    Args:
        sheet: The scenario.
        rate_hz: Mean requests per second; None for a file that is replayed.
        sensors: Names of the model's modalities.
        models: Who may be asked, the most popular first.
        idle_w: Power of the idle node, for caps that are parts.
        free_w: Power that the load draws without a cap, for the same.

    Raises:
        ConfigError: A trace file does not fit, or nothing is asked.
    """
    rng = np.random.default_rng(sheet.seed)
    if sheet.arrivals.replay is not None:
        arrivals = read_arrivals(sheet.arrivals.replay, sensors, models)
        arrivals = tuple(replace(a, at_s=a.at_s / sheet.arrivals.speed) for a in arrivals)
        duration_s = sheet.seconds or max((a.at_s for a in arrivals), default=0.0) + 0.5
        arrivals = tuple(a for a in arrivals if a.at_s < duration_s)
    else:
        assert rate_hz is not None
        duration_s = sheet.seconds or SECONDS
        arrivals = _drawn(sheet, rng, rate_hz, duration_s, len(sensors), models)
    if not arrivals:
        raise ConfigError(
            f"{sheet.name}: no request in {duration_s:g} s; raise the rate or seconds"
        )
    return Trace(
        name=sheet.name,
        seed=sheet.seed,
        duration_s=duration_s,
        deadline_s=sheet.requests.deadline_s,
        arrivals=arrivals,
        caps=_caps(sheet.cap, idle_w, free_w),
        slowdowns=_slowdowns(sheet.neighbour),
    )


def paced(unit: Times, pace: Sequence[tuple[float, float]], rate_hz: float, end_s: float) -> Times:
    """Move arrivals of rate 1 so that they come at a rate that has steps.

    Args:
        unit: Times at one request per second.
        pace: Steps (time, factor on the rate), from 0 on.
        rate_hz: What a factor of 1 means.
        end_s: Arrivals from then on are left out.
    """
    knots_s = np.array([*(at_s for at_s, _ in pace if at_s < end_s), end_s])
    factors = np.array([factor for at_s, factor in pace if at_s < end_s])
    expected = np.concatenate([[0.0], np.cumsum(np.diff(knots_s) * factors * rate_hz)])
    times: Times = np.interp(unit[unit < expected[-1]], expected, knots_s)
    return times


def read_arrivals(
    path: Path, sensors: Sequence[str], models: Sequence[str] = ("",)
) -> tuple[Arrival, ...]:
    """Read requests from a CSV file with a header.

    ``at_s`` must be there. ``sensors`` are names with spaces between, all if empty or left out;
    ``windows`` is 1 and ``model`` the first one unless it says otherwise.

    Raises:
        ConfigError: It can't be read, or a line does not fit; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            check_names(reader.fieldnames or (), _COLUMNS, f"the header of {path.name}")
            if "at_s" not in (reader.fieldnames or ()):
                raise ConfigError(f"{path.name} needs a column at_s: seconds from its start")
            arrivals = [
                _arrival(row, sensors, models, f"{path.name} line {reader.line_num}")
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    return tuple(sorted(arrivals, key=lambda a: a.at_s))


def _arrival(
    row: dict[str, str | None], sensors: Sequence[str], models: Sequence[str], where: str
) -> Arrival:
    try:
        at_s, windows = float(row["at_s"] or ""), int(row.get("windows") or 1)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
    if not (0 <= at_s < float("inf") and windows >= 1):
        raise ConfigError(f"{where}: at_s must be 0 or above and windows at least 1")
    names = (row.get("sensors") or "").split() or list(sensors)
    check_names(names, sensors, where)
    model = row.get("model") or models[0]
    check_names([model], {*models, ""}, where)
    bits = sum(1 << sensors.index(name) for name in set(names))
    return Arrival(at_s, bits, windows, model)


def _drawn(
    sheet: Sheet,
    rng: np.random.Generator,
    rate_hz: float,
    end_s: float,
    size: int,
    models: Sequence[str],
) -> tuple[Arrival, ...]:
    highest = max(factor for _, factor in sheet.arrivals.pace)
    unit = renewal(rng, 1.0, highest * rate_hz * end_s, sheet.arrivals.squared_variation)
    times = paced(unit, sheet.arrivals.pace, rate_hz, end_s)
    asked = sheet.requests
    if asked.sensors == "dropout":
        bits = dropout(rng, times, size, up_s=asked.up_s, down_s=asked.down_s)
    elif asked.sensors == "worn":
        bits = steady(rng, times, size)
    else:
        bits = np.full(len(times), 2**size - 1)
    weights = np.arange(1, len(models) + 1) ** -sheet.models.popularity
    who = rng.choice(len(models), size=len(times), p=weights / weights.sum())
    return tuple(
        Arrival(at_s, worn, asked.windows, models[model])
        for at_s, worn, model in zip(times.tolist(), bits.tolist(), who.tolist(), strict=True)
    )


def _caps(
    steps: Sequence[CapStep], idle_w: float, free_w: float | None
) -> tuple[tuple[float, float | None], ...]:
    def watts(step: CapStep) -> float | None:
        if step.part is None:
            return step.watts
        assert free_w is not None
        return idle_w + step.part * (free_w - idle_w)

    found = [(step.at_s, watts(step)) for step in steps]
    return tuple(found if found and found[0][0] == 0 else [(0.0, None), *found])


def _slowdowns(stretches: Sequence[NeighbourSheet]) -> tuple[tuple[float, float], ...]:
    steps = [(0.0, 1.0)]
    for stretch in stretches:
        steps += [(stretch.from_s, 1 / (1 - stretch.share)), (stretch.to_s, 1.0)]
    return tuple(steps)
