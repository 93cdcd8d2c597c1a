"""Sensor chips of the kernel's hwmon class, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sentryfuse.energy.sysfs import listing, read_text

# The second serves a container that was given the drivers but not the class.
_PLACES = ("class/hwmon/hwmon*", "bus/i2c/drivers/*/*/hwmon/hwmon*")


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip; the N of its directory hwmonN means nothing and changes at boot."""

    name: str
    path: Path
    """Where its values lie."""

    def label(self, channel: str) -> str:
        """Label of a channel such as ``power1``; empty if it has none."""
        return read_text(self.path / f"{channel}_label") or ""

    def enabled(self, channel: str) -> bool:
        """Whether a channel such as ``in1`` measures; without a switch it does."""
        return read_text(self.path / f"{channel}_enable") != "0"


def hwmon_chips(sysfs_root: Path) -> tuple[Chip, ...]:
    """Return every chip once.

    Older drivers, that of the ACPI power meter among them, keep their values in the device and
    not in the class directory.
    """
    chips: dict[Path, Chip] = {}
    for place in _PLACES:
        for entry in listing(sysfs_root, place):
            for path in (entry, entry / "device"):
                name = read_text(path / "name")
                if name:
                    chips.setdefault(path.resolve(), Chip(name, path))
                    break
    return tuple(chips.values())
