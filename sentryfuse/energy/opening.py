"""Opening a meter by name."""

from __future__ import annotations

from pathlib import Path

from sentryfuse.energy.cpu_time import IDLE_POWER_W, WATTS_PER_CORE, CpuTimeMeter
from sentryfuse.energy.meter import Meter
from sentryfuse.energy.null import NullMeter
from sentryfuse.energy.replay import ReplayMeter, read_recording
from sentryfuse.errors import ConfigError

METERS = ("auto", "cpu-time", "null", "replay")
"""Names that :func:`open_meter` knows; ``auto`` is the best that the host offers."""


def open_meter(
    name: str = "auto",
    *,
    watts_per_core: float = WATTS_PER_CORE,
    idle_power_w: float = IDLE_POWER_W,
    recording: Path | None = None,
) -> Meter:
    """Open a meter.

    Args:
        name: One of :data:`METERS`.
        watts_per_core: Active power of one busy core, for modelled energy.
        idle_power_w: Power of the node when it has nothing to do.
        recording: The file that ``replay`` plays back.

    Raises:
        ConfigError: The name is unknown, or a setting makes no sense.
        MeterError: The recording can't be read.
    """
    if name in ("auto", "cpu-time"):
        return CpuTimeMeter(watts_per_core, idle_power_w)
    if name == "null":
        return NullMeter()
    if name == "replay":
        if recording is None:
            raise ConfigError("the replay meter needs a recording")
        return ReplayMeter(read_recording(recording), idle_power_w=idle_power_w)
    raise ConfigError(f"meter must be one of {list(METERS)}, got {name!r}")
