"""Opening a meter by name, and saying which there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from sentryfuse.energy.backends import FINDERS, Finding, Host, look_for, working_probes
from sentryfuse.energy.beside import BesideMeter
from sentryfuse.energy.cpu_clock import NodeCpuClock
from sentryfuse.energy.cpu_time import IDLE_POWER_W, WATTS_PER_CORE, CpuTimeMeter
from sentryfuse.energy.failover import FailoverMeter
from sentryfuse.energy.meter import Meter, SensorMeter
from sentryfuse.energy.null import NullMeter
from sentryfuse.energy.probe import Probe
from sentryfuse.energy.replay import ReplayMeter, read_recording
from sentryfuse.energy.sysfs import SYSFS
from sentryfuse.errors import ConfigError, MeterError

logger = logging.getLogger(__name__)

MeterName = Literal[
    "auto",
    "jetson",
    "rapl",
    "hwmon",
    "rpi5",
    "battery",
    "nvml",
    "cpu-time",
    "replay",
    "null",
]
METERS: tuple[MeterName, ...] = get_args(MeterName)
"""Names that :func:`open_meter` knows; ``auto`` is the best that the host offers."""

_GPU = "nvml"
_WATCH_S = 0.1


def open_meter(
    name: str = "auto",
    *,
    watts_per_core: float = WATTS_PER_CORE,
    idle_power_w: float | None = None,
    recording: Path | None = None,
    sysfs_root: Path = SYSFS,
    host: Host | None = None,
) -> Meter:
    """Open a meter.

    A meter that reads hardware steps down to the next one, in the end to the CPU-time model of
    the whole node, should it fail later. ``auto`` takes the best sensor that reads sense; with
    none it is the CPU-time model of this process.

    Args:
        name: One of :data:`METERS`.
        watts_per_core: Active power of one busy core, for modelled energy.
        idle_power_w: Power of the node when it has nothing to do. If not given, sensors learn it
            and the model takes a default.
        recording: The file that ``replay`` plays back.
        sysfs_root: Where /sys is; elsewhere in containers.
        host: Everything else that is read of the machine, instead of ``sysfs_root``; for tests.

    Raises:
        ConfigError: The name is unknown, or a setting makes no sense.
        MeterError: The recording can't be read, or the host has no such sensor.
    """
    host = host or Host(sysfs_root=sysfs_root)
    idle_w = IDLE_POWER_W if idle_power_w is None else idle_power_w
    if name == "cpu-time":
        return CpuTimeMeter(watts_per_core, idle_w)
    if name == "null":
        return NullMeter()
    if name == "replay":
        if recording is None:
            raise ConfigError("the replay meter needs a recording")
        return ReplayMeter(read_recording(recording), idle_power_w=idle_w)
    if name != "auto" and name not in FINDERS:
        raise ConfigError(f"meter must be one of {list(METERS)}, got {name!r}")
    last = CpuTimeMeter(watts_per_core, idle_w)  # refuses powers that make no sense
    modelled = partial(_model_of_the_node, watts_per_core, idle_w, host)
    if name != "auto":
        try:
            return _chain(working_probes(name, host), modelled, idle_power_w, IDLE_POWER_W)
        except MeterError as error:
            raise MeterError(f"the {name} meter can't be used: {error}") from error
    return _best(host, idle_power_w, modelled) or last


def find_meters(
    sysfs_root: Path = SYSFS, *, host: Host | None = None, watch_s: float = _WATCH_S
) -> tuple[Finding, ...]:
    """Look for every back end that needs no recording, in the order of ``auto``.

    Args:
        sysfs_root: Where /sys is.
        host: Everything else that is read of the machine, instead of ``sysfs_root``; for tests.
        watch_s: How long to watch each counter to tell its power.
    """
    host = host or Host(sysfs_root=sysfs_root)
    sensors = tuple(look_for(name, host, watch_s=watch_s) for name in FINDERS)
    resolution_s = time.get_clock_info("process_time").resolution
    reads = "CPU seconds x watts per core + idle power"
    return (*sensors, Finding("cpu-time", "modelled", True, reads, None, resolution_s))


def _best(host: Host, idle_power_w: float | None, modelled: Callable[[], Meter]) -> Meter | None:
    """The best sensors of the host as one meter; None if there are none."""
    probes: list[Probe] = []
    for name in FINDERS:
        if name != _GPU:
            probes += _try(name, host)
    seen_by_board = bool(probes) and probes[0].scope == "board"
    gpus = () if seen_by_board else _try(_GPU, host)
    if not probes and not gpus:
        return None
    main = _chain(probes, modelled, idle_power_w, IDLE_POWER_W)
    if not gpus:
        return main
    return BesideMeter(main, _chain(gpus, NullMeter, None, 0.0), idle_power_w=idle_power_w)


def _try(name: str, host: Host) -> tuple[Probe, ...]:
    try:
        return working_probes(name, host)
    except MeterError as error:
        logger.debug("energy meter %s: %s", name, error)
        return ()


def _chain(
    probes: tuple[Probe, ...] | list[Probe],
    last: Callable[[], Meter],
    idle_power_w: float | None,
    default_idle_w: float,
) -> Meter:
    def opener(probe: Probe) -> Callable[[], SensorMeter]:
        return lambda: probe.open(idle_power_w, default_idle_w=default_idle_w)

    return FailoverMeter([opener(probe) for probe in probes], last)


def _model_of_the_node(watts_per_core: float, idle_power_w: float, host: Host) -> Meter:
    """What follows a sensor must cover the same work; without /proc/stat it is this process."""
    try:
        clock = NodeCpuClock(host.proc_root)
    except MeterError:
        return CpuTimeMeter(watts_per_core, idle_power_w)
    return CpuTimeMeter(watts_per_core, idle_power_w, covers="node", cpu_clock=clock)
