"""RAPL energy counters of Intel and AMD processors, through the kernel's powercap interface.

Zones overlap: psys holds the packages, a package holds core and uncore. So either psys is read or
all packages, and DRAM beside the packages where it is a zone of its own (Documentation/power/
powercap/powercap.rst; order as in Kepler). ``intel-rapl-mmio`` zones repeat the package and are
left out; AMD's zones are named intel-rapl too. Since CVE-2020-8694 only root may read the counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sentryfuse.energy.counted import EnergyZone
from sentryfuse.energy.probe import CounterProbe, Scope
from sentryfuse.energy.sysfs import listing, read_number, read_text, why_unreadable
from sentryfuse.errors import MeterError

# Docker masks the second in every container; mounted elsewhere, the links in the first dangle.
_PLACES = ("class/powercap", "devices/virtual/powercap/intel-rapl")
_ZONES = "intel-rapl:[0-9]*"

MAX_ZONE_POWER_W = 2_000.0
"""More than any processor or small platform draws."""
_TICK_S = 0.001
_MOVES_WITHIN_S = 0.05
_FROZEN_AFTER_S = 5.0
_LONGEST_KEEP_PERIOD_S = 30.0


@dataclass(frozen=True, slots=True)
class Zone:
    """One powercap zone and where its files lie."""

    name: str
    path: Path

    @property
    def energy_file(self) -> Path:
        """Counter in microjoules."""
        return self.path / "energy_uj"

    def read_j(self) -> float | None:
        """Raw counter in joules."""
        return _joules(self.energy_file)

    def range_j(self) -> float | None:
        """Where the counter wraps; None if the kernel does not say."""
        return _joules(self.path / "max_energy_range_uj") or None


def find_rapl(sysfs_root: Path) -> tuple[CounterProbe, ...]:
    """Find psys, then the distinct packages: the second takes over should the first fail.

    Raises:
        MeterError: There is no zone, or none may be read.
    """
    zones = _zones(sysfs_root)
    whole = [zone for zone in zones if zone.name == "psys"]
    packages = [zone for zone in zones if zone.name.startswith("package")]
    if not whole and not packages:
        raise MeterError(_why_no_zone(sysfs_root, zones))
    refused = [why for zone in (*whole, *packages) if (why := why_unreadable(zone.energy_file))]
    whole = [zone for zone in whole if zone.read_j() is not None][:1]
    if any(zone.read_j() is None for zone in packages):
        packages = []  # a sum without one of the sockets would be a lie
    if not whole and not packages:
        raise MeterError(refused[0])
    probes = [_probe(whole, "board")] if whole else []
    if packages:
        distinct = _distinct(packages)
        probes.append(_probe((*distinct, *_distinct(_memory(distinct))), "cpu"))
    return tuple(probes)


def _zones(sysfs_root: Path) -> list[Zone]:
    for place in _PLACES:
        zones = list(_named(listing(sysfs_root / place, _ZONES)))
        if zones:
            return zones
    return []


def _named(paths: Iterable[Path]) -> Iterable[Zone]:
    return (Zone(name, path) for path in paths if (name := read_text(path / "name")))


def _memory(packages: Sequence[Zone]) -> list[Zone]:
    """DRAM zones of these packages that can be read."""
    below = (_named(listing(package.path, f"{package.path.name}:*")) for package in packages)
    zones = (zone for group in below for zone in group)
    return [zone for zone in zones if zone.name == "dram" and zone.read_j() is not None]


def _distinct(zones: Sequence[Zone]) -> list[Zone]:
    """Drop zones that mirror another's counter, as dies of one AMD socket do.

    Two counters are one if they agree within 1 J or a millionth (CodeCarbon, issue 1274).
    """
    kept: list[tuple[Zone, float]] = []
    for zone in zones:
        raw_j = zone.read_j()
        if raw_j is None:
            continue
        if all(abs(raw_j - other_j) > max(1.0, 1e-6 * other_j) for _, other_j in kept):
            kept.append((zone, raw_j))
    return [zone for zone, _ in kept]


def _probe(zones: Sequence[Zone], scope: Scope) -> CounterProbe:
    counters = tuple(
        EnergyZone(
            name=zone.name,
            read_j=partial(_joules, zone.energy_file),
            range_j=zone.range_j(),
            max_power_w=MAX_ZONE_POWER_W,
            frozen_after_s=_FROZEN_AFTER_S,
        )
        for zone in zones
    )
    ranges_j = [counter.range_j for counter in counters if counter.range_j is not None]
    return CounterProbe(
        source="rapl",
        reads=" + ".join(zone.name for zone in zones),
        scope=scope,
        zones=counters,
        resolution_s=_TICK_S,
        # Four looks at least before the fastest zone could wrap.
        keep_period_s=min(
            [_LONGEST_KEEP_PERIOD_S, *(r / (4 * MAX_ZONE_POWER_W) for r in ranges_j)]
        ),
        moves_within_s=_MOVES_WITHIN_S,
    )


def _joules(path: Path) -> float | None:
    microjoules = read_number(path)
    return None if microjoules is None else microjoules * 1e-6


def _why_no_zone(sysfs_root: Path, zones: Sequence[Zone]) -> str:
    if zones:
        names = ", ".join(zone.name for zone in zones)
        return f"no psys or package zone among the RAPL zones: {names}"
    if listing(sysfs_root / _PLACES[0], _ZONES):
        return (
            f"the links in {sysfs_root / _PLACES[0]} lead nowhere: mount "
            f"/sys/devices/virtual/powercap too"
        )
    return "no RAPL zone: no such processor, a virtual machine, or masked in this container"
