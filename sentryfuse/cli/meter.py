"""``sentryfuse meter``: which energy meters this host offers, and what they read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentryfuse.cli.options import AsJson, WattsPerCore, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.energy.cpu_time import WATTS_PER_CORE
from sentryfuse.energy.sysfs import SYSFS

if TYPE_CHECKING:
    from sentryfuse.energy import Finding, Meter


def meter(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "meter",
        epilog=epilog(
            "sentryfuse meter",
            "sentryfuse meter --all --seconds 10",
            "sentryfuse meter --meter rapl --json",
            "sentryfuse meter --sysfs-root /host/sys",
            "sentryfuse meter --meter replay --recording power.csv",
        ),
    )(_meter)


def _meter(
    name: Annotated[
        str,
        typer.Option(
            "--meter",
            help="Which meter: auto (the best there is), jetson, rapl, hwmon, rpi5, battery, nvml, "
            "cpu-time, replay, null. What SENTRYFUSE_METER takes.",
        ),
    ] = "auto",
    watch_all: Annotated[
        bool, typer.Option("--all", help="Watch every meter that was found, side by side.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.01, max=3600, help="How long to watch.")] = 1.0,
    watts_per_core: WattsPerCore = WATTS_PER_CORE,
    idle_power_w: Annotated[
        float | None,
        typer.Option(
            "--idle-power-w",
            min=0.0,
            help="Power of the node when it is idle. Default: learnt from a sensor, 3 W in the "
            "model.",
        ),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="What the replay meter plays: time_s,joules."),
    ] = None,
    sysfs_root: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where /sys is, if mounted elsewhere in a container."),
    ] = SYSFS,
    as_json: AsJson = False,
) -> None:
    """Show which energy meters were found, why others were not, and a reading.

    "measured" figures come from a sensor; "modelled" ones from CPU time and the watts you state.
    If RAPL says "permission denied": its counters belong to root, and docs/metering.md says how to
    share them without giving the service more rights.
    """
    from sentryfuse.energy import find_meters, open_meter

    def opened(which: str) -> Meter:
        return open_meter(
            which,
            watts_per_core=watts_per_core,
            idle_power_w=idle_power_w,
            recording=recording,
            sysfs_root=sysfs_root,
        )

    with ExitStack() as stack:
        used = stack.enter_context(closing(opened(name)))
        findings = find_meters(sysfs_root)
        others = [
            stack.enter_context(closing(opened(finding.source)))
            for finding in findings
            if watch_all and finding.found and finding.source != used.source
        ]
        reading, *other_readings = _watch([used, *others], seconds)
    in_use = frozenset(str(reading["source"]).split("+"))
    screen = Screen()
    if as_json:
        meters = [{**asdict(f), "in_use": f.source in in_use} for f in findings]
        more = {"readings": [reading, *other_readings]} if watch_all else {}
        screen.json({**reading, "meters": meters, **more})
        return
    _show_findings(screen, findings, in_use)
    if watch_all:
        _show_readings(screen, [reading, *other_readings])
    else:
        _show_reading(screen, reading)


def _watch(meters: Sequence[Meter], seconds: float) -> list[dict[str, Any]]:
    """Read all meters over the same time."""
    began = [(meter.joules(), time.perf_counter()) for meter in meters]
    time.sleep(seconds)
    ended = [(meter.joules(), time.perf_counter()) for meter in meters]
    return [
        {
            "source": meter.source,
            "quality": meter.quality,
            "covers": meter.covers,
            "seconds": end_s - start_s,
            "energy_j": end_j - start_j,
            "power_w": (end_j - start_j) / (end_s - start_s),
            "idle_power_w": meter.idle_power_w,
            "faults": dict(meter.faults),
            "failovers": meter.failovers,
        }
        for meter, (start_j, start_s), (end_j, end_s) in zip(meters, began, ended, strict=True)
    ]


def _show_findings(screen: Screen, findings: Sequence[Finding], in_use: frozenset[str]) -> None:
    screen.table(
        ("meter", "found", "quality", "resolution", "W now", "what it reads, or why not"),
        [
            (
                finding.source,
                "in use" if finding.source in in_use else "yes" if finding.found else "no",
                finding.quality,
                _duration(finding.resolution_s),
                "-" if finding.power_w is None else f"{finding.power_w:.2f}",
                finding.reason,
            )
            for finding in findings
        ],
    )


def _show_reading(screen: Screen, reading: dict[str, Any]) -> None:
    screen.facts(
        {
            "source": reading["source"],
            "quality": reading["quality"],
            "energy": f"{reading['energy_j']:.3f} J in {reading['seconds']:.2f} s",
            "mean power": f"{reading['power_w']:.2f} W",
            "idle power": f"{reading['idle_power_w']:.2f} W",
            "faults": _faults(reading),
        }
    )


def _show_readings(screen: Screen, readings: Sequence[dict[str, Any]]) -> None:
    screen.table(
        ("meter", "quality", "covers", "J", "s", "mean W", "faults"),
        [
            (
                str(reading["source"]),
                str(reading["quality"]),
                str(reading["covers"]),
                f"{reading['energy_j']:.3f}",
                f"{reading['seconds']:.2f}",
                f"{reading['power_w']:.2f}",
                _faults(reading),
            )
            for reading in readings
        ],
    )


def _faults(reading: dict[str, Any]) -> str:
    return ", ".join(f"{count} x {fault}" for fault, count in reading["faults"].items())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
