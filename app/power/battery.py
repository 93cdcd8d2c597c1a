"""How full the node's battery is, for caps that depend on it."""

from __future__ import annotations

from pathlib import Path

from sentryfuse.energy.battery import find_batteries
from sentryfuse.energy.sysfs import read_number


def charge_ratio(sysfs_root: Path) -> float | None:
    """Return the mean charge of the node's batteries, in [0, 1]; None if none tells.

    Reading a battery may take milliseconds: not on the event loop.
    """
    percents = [read_number(path / "capacity") for path in find_batteries(sysfs_root)]
    known = [min(max(percent, 0.0), 100.0) for percent in percents if percent is not None]
    return sum(known) / len(known) / 100 if known else None
