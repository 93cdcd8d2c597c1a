"""The battery of a laptop or field node, while it feeds the node.

Units are those of Documentation/ABI/testing/sysfs-class-power. Drivers disagree on the sign of a
current that flows out, so the status decides and the magnitude is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sentryfuse.energy.probe import PowerProbe
from sentryfuse.energy.sysfs import listing, read_number, read_text
from sentryfuse.errors import MeterError

# Fuel gauges renew their figures every 1 to 30 s.
_PERIOD_S = 2.0
_MAX_GAP_S = 10.0
_FROZEN_AFTER_S = 900.0
_LIMITS_NOT_READINGS = "ucsi-source-psy-"


def find_battery(sysfs_root: Path) -> tuple[PowerProbe, ...]:
    """Find the node's batteries.

    Raises:
        MeterError: There is none, none discharges now, or none tells its power.
    """
    batteries = find_batteries(sysfs_root)
    if not batteries:
        raise MeterError("no battery")
    discharging = [path for path in batteries if read_text(path / "status") == "Discharging"]
    if not discharging:
        states = ", ".join(f"{path.name} is {read_text(path / 'status')}" for path in batteries)
        raise MeterError(f"only a battery that is Discharging feeds the node: {states}")
    if total_w(batteries) is None:
        raise MeterError(f"{discharging[0].name} tells neither power_now nor current and voltage")
    probe = PowerProbe(
        source="battery",
        reads=", ".join(path.name for path in batteries),
        scope="board",
        read_w=partial(total_w, batteries),
        period_s=_PERIOD_S,
        max_gap_s=_MAX_GAP_S,
        frozen_after_s=_FROZEN_AFTER_S,
    )
    return (probe,)


def find_batteries(sysfs_root: Path) -> tuple[Path, ...]:
    """Return batteries that feed the node, not those of a mouse or pen (scope Device)."""
    return tuple(
        path
        for path in listing(sysfs_root, "class/power_supply/*")
        if read_text(path / "type") == "Battery"
        and read_text(path / "scope") != "Device"
        and read_text(path / "present") != "0"
        and not path.name.startswith(_LIMITS_NOT_READINGS)
    )


def total_w(batteries: Sequence[Path]) -> float | None:
    """Return what the batteries that discharge give; None while none does, or one won't tell."""
    powers_w = [power_w(path) for path in batteries if read_text(path / "status") == "Discharging"]
    if not powers_w or None in powers_w:
        return None
    return sum(power or 0.0 for power in powers_w)


def power_w(battery: Path) -> float | None:
    """Return the magnitude of a battery's power."""
    power_uw = read_number(battery / "power_now")
    if power_uw is not None:
        return abs(power_uw) * 1e-6
    current_ua = read_number(battery / "current_now")
    voltage_uv = read_number(battery / "voltage_now")
    if current_ua is None or voltage_uv is None:
        return None
    return abs(current_ua * voltage_uv) * 1e-12
