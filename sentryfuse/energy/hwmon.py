"""Power and energy sensors of the kernel's hwmon class, first of all the ACPI power meter.

Per channel an energy counter (microjoules) is preferred to power, and an average to an instant
(Documentation/hwmon/sysfs-interface.rst). One driver is read, since different drivers may watch
the same current: ACPI's meter of the whole machine, else other boards' monitors, else processors'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from sentryfuse.energy.chips import Chip, hwmon_chips
from sentryfuse.energy.counted import EnergyZone
from sentryfuse.energy.probe import CounterProbe, PowerProbe, Probe, Scope
from sentryfuse.energy.sysfs import listing, read_number
from sentryfuse.errors import MeterError

_ACPI = "power_meter"
_GPUS = frozenset({"amdgpu", "i915", "nouveau", "radeon", "xe"})
_PROCESSORS = frozenset({"amd_energy", "fam15h_power", "zenpower"})
_JETSON = frozenset({"ina3221", "ina238"})
"""Read by :mod:`sentryfuse.energy.jetson`."""

_TOTAL = re.compile(r"(esocket\d+|power total|total( power)?|pin\d*|psys|system|vin|vdd_in)", re.I)
"""Labels of a channel that holds all others of its chip; amd_energy has one for each socket."""
_CHANNEL = re.compile(r"(energy|power)(\d+)_(input|average)")
_RANKED_FILES = ("energy{}_input", "power{}_average", "power{}_input")
_DEFAULT_PERIOD_S = 1.0
_COUNTER_PERIOD_S = 0.2


@dataclass(frozen=True, slots=True)
class Channel:
    """One sensor of a chip."""

    chip: Chip
    label: str
    file: Path

    @property
    def counts(self) -> bool:
        """Whether it counts energy; else it reads power."""
        return self.file.name.startswith("energy")

    def read(self) -> float | None:
        """Joules or watts."""
        return _micro(self.file)


def find_hwmon(sysfs_root: Path) -> tuple[Probe, ...]:
    """Find one probe for each driver that measures the machine or its processor, best first.

    Raises:
        MeterError: There is none; the message names what was seen and left out.
    """
    seen = sorted(hwmon_chips(sysfs_root), key=lambda chip: (_rank(chip.name), chip.name))
    probes = []
    for name, chips in groupby(seen, key=lambda chip: chip.name):
        channels = [channel for chip in chips for channel in find_channels(chip)]
        if channels:
            probes.append(_probe(name, channels))
    if not probes:
        names = ", ".join(sorted({chip.name for chip in seen})) or "none"
        raise MeterError(f"no chip that measures the machine's power (chips seen: {names})")
    return tuple(probes)


def find_channels(chip: Chip) -> tuple[Channel, ...]:
    """Return what of a chip may be added up; empty if it measures something else.

    A chip with several channels is used only where labels say which hold the others.
    """
    if chip.name in _GPUS | _JETSON or "power_supply" in chip.path.resolve().parts:
        return ()
    if read_number(chip.path / "power1_is_battery") == 1:
        return ()
    found = [channel for number in _numbers(chip) if (channel := _channel(chip, number))]
    totals = [channel for channel in found if _TOTAL.fullmatch(channel.label)]
    if totals:
        return tuple(totals)
    return tuple(found) if len(found) == 1 else ()


def _rank(name: str) -> int:
    return 0 if name == _ACPI else 2 if name in _PROCESSORS else 1


def _numbers(chip: Chip) -> list[int]:
    names = (path.name for path in listing(chip.path, "*_*"))
    return sorted({int(match[2]) for name in names if (match := _CHANNEL.fullmatch(name))})


def _channel(chip: Chip, number: int) -> Channel | None:
    """The best file of a channel that has a value now."""
    for pattern in _RANKED_FILES:
        file = chip.path / pattern.format(number)
        prefix = file.name.split("_")[0]
        if chip.enabled(prefix) and _micro(file) is not None:
            return Channel(chip, chip.label(prefix), file)
    return None


def _probe(name: str, channels: Sequence[Channel]) -> Probe:
    counters = [channel for channel in channels if channel.counts]
    chosen = counters or channels
    labels = ", ".join(channel.label or channel.file.name for channel in chosen)
    scope: Scope = "cpu" if name in _PROCESSORS else "board"
    if counters:
        return CounterProbe(
            source="hwmon",
            reads=f"{name}: {labels}",
            scope=scope,
            zones=tuple(
                EnergyZone(name=c.label or c.file.name, read_j=c.read, frozen_after_s=60.0)
                for c in counters
            ),
            resolution_s=_COUNTER_PERIOD_S,
            keep_period_s=_COUNTER_PERIOD_S,
            inline=False,  # behind it may be a slow bus
        )
    period_s = max(map(_period_s, chosen))
    return PowerProbe(
        source="hwmon",
        reads=f"{name}: {labels}",
        scope=scope,
        read_w=partial(_sum, chosen),
        period_s=period_s,
        max_gap_s=5 * period_s,
        # An idle server at a resolution of one watt may well show the same figure for minutes.
        frozen_after_s=900.0,
    )


def _period_s(channel: Channel) -> float:
    """How often a channel is new: the ACPI meter says over how many milliseconds it averages."""
    prefix = channel.file.name.split("_")[0]
    interval_ms = read_number(channel.chip.path / f"{prefix}_average_interval")
    return _DEFAULT_PERIOD_S if not interval_ms else min(max(interval_ms * 1e-3, 0.1), 30.0)


def _sum(channels: Sequence[Channel]) -> float | None:
    values = [channel.read() for channel in channels]
    return None if None in values else sum(value or 0.0 for value in values)


def _micro(path: Path) -> float | None:
    value = read_number(path)
    return None if value is None else value * 1e-6
