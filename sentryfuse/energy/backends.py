"""The back ends that read hardware, best first, and what a host offers of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sentryfuse.energy.battery import find_battery
from sentryfuse.energy.cpu_clock import PROC
from sentryfuse.energy.hwmon import find_hwmon
from sentryfuse.energy.jetson import find_jetson
from sentryfuse.energy.meter import Quality
from sentryfuse.energy.nvml import LoadNvml, find_nvml, load_nvml
from sentryfuse.energy.probe import Probe
from sentryfuse.energy.rapl import find_rapl
from sentryfuse.energy.rpi5 import Run, find_rpi5, run_command
from sentryfuse.energy.sysfs import SYSFS
from sentryfuse.errors import MeterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a machine is read; made-up ones serve tests."""

    sysfs_root: Path = SYSFS
    proc_root: Path = PROC
    run: Run = run_command
    load_nvml: LoadNvml = load_nvml


FINDERS: Mapping[str, Callable[[Host], tuple[Probe, ...]]] = {
    "jetson": lambda host: find_jetson(host.sysfs_root),
    "rapl": lambda host: find_rapl(host.sysfs_root),
    "hwmon": lambda host: find_hwmon(host.sysfs_root),
    "rpi5": lambda host: find_rpi5(host.run),
    "battery": lambda host: find_battery(host.sysfs_root),
    "nvml": lambda host: find_nvml(host.load_nvml),
}
"""Best first: a board rail sees everything, a processor's counter not, a battery only now and
then. NVML stands beside them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of looking for one back end."""

    source: str
    quality: Quality
    found: bool
    reason: str
    """What it reads, or why it can't be used."""
    power_w: float | None
    """Power just now; None if unknown."""
    resolution_s: float | None
    """How often its figure is new."""


def working_probes(name: str, host: Host) -> tuple[Probe, ...]:
    """Return a back end's probes from the first that reads sense, best first.

    Those after it are not tried; they are for the day on which it fails.

    Raises:
        MeterError: There is none; the message says why.
    """
    probes = FINDERS[name](host)
    reasons = []
    for index, probe in enumerate(probes):
        try:
            probe.check()
            return probes[index:]
        except MeterError as error:
            probe.discard()
            reasons.append(str(error))
    raise MeterError("; ".join(reasons))


def look_for(name: str, host: Host, *, watch_s: float) -> Finding:
    """Look for one back end and read it for a moment.

    Args:
        name: A key of :data:`FINDERS`.
        host: Where to look.
        watch_s: How long to watch a counter to tell its power.
    """
    try:
        probe = working_probes(name, host)[0]
        try:
            power_w = probe.check(watch_s)
        finally:
            probe.discard()
    except MeterError as error:
        return Finding(name, "measured", False, str(error), None, None)
    return Finding(name, "measured", True, probe.reads, power_w, probe.resolution_s)
