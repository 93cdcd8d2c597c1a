"""``sentryfuse meter``: which energy meter this host offers, and what it reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sentryfuse.cli.options import AsJson, WattsPerCore, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.energy.cpu_time import IDLE_POWER_W, WATTS_PER_CORE


def meter(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "meter",
        epilog=epilog(
            "sentryfuse meter",
            "sentryfuse meter --seconds 10 --json",
            "sentryfuse meter --meter replay --recording power.csv",
        ),
    )(_meter)


def _meter(
    name: Annotated[
        str,
        typer.Option(
            "--meter", help="Which meter: auto (the best there is), cpu-time, null, replay."
        ),
    ] = "auto",
    seconds: Annotated[float, typer.Option(min=0.01, max=3600, help="How long to watch it.")] = 1.0,
    watts_per_core: WattsPerCore = WATTS_PER_CORE,
    idle_power_w: Annotated[
        float, typer.Option("--idle-power-w", min=0.0, help="Power of the node when it is idle.")
    ] = IDLE_POWER_W,
    recording: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="What the replay meter plays: time_s,joules."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which energy meter is in use, how it knows, and a reading.

    "measured" figures come from a sensor; "modelled" ones from CPU time and the watts you state.
    """
    from sentryfuse.energy import open_meter

    opened = open_meter(
        name, watts_per_core=watts_per_core, idle_power_w=idle_power_w, recording=recording
    )
    began_j, began_s = opened.joules(), time.perf_counter()
    time.sleep(seconds)
    energy_j, elapsed_s = opened.joules() - began_j, time.perf_counter() - began_s
    reading = {
        "source": opened.source,
        "quality": opened.quality,
        "seconds": elapsed_s,
        "energy_j": energy_j,
        "power_w": energy_j / elapsed_s,
        "idle_power_w": opened.idle_power_w,
        "faults": dict(opened.faults),
    }
    screen = Screen()
    if as_json:
        screen.json(reading)
        return
    screen.facts(
        {
            "source": opened.source,
            "quality": opened.quality,
            "energy": f"{energy_j:.3f} J in {elapsed_s:.2f} s",
            "mean power": f"{energy_j / elapsed_s:.2f} W",
            "idle power": f"{opened.idle_power_w:.2f} W",
            "faults": ", ".join(f"{n} x {fault}" for fault, n in opened.faults.items()),
        }
    )
