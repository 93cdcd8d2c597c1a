"""NVIDIA Jetson boards: INA3221 rail monitors, and the INA238 of newer ones.

The mainline driver (Documentation/hwmon/ina3221.rst) gives millivolts and milliamperes for three
channels; in4 to in6 are shunt voltages and in7 is their sum, so they are no rails. The driver of
JetPack 4 and older lies below ``bus/i2c/drivers/ina3221x`` and gives milliwatts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sentryfuse.energy.chips import Chip, hwmon_chips
from sentryfuse.energy.probe import PowerProbe
from sentryfuse.energy.sysfs import listing, read_number, read_text
from sentryfuse.errors import MeterError

BOARD_RAILS = ("VDD_IN", "VIN", "POM_5V_IN")
"""Rails that feed the whole board, the first found wins. Which one it is depends on the board."""

_NOT_CONNECTED = "NC"


@dataclass(frozen=True, slots=True)
class Rail:
    """One supply rail."""

    name: str
    read_w: Callable[[], float | None]


def find_jetson(sysfs_root: Path) -> tuple[PowerProbe, ...]:
    """Find the rail that feeds the board; without one, all rails together.

    Raises:
        MeterError: There is no rail monitor, or no rail on it.
    """
    rails = find_rails(sysfs_root)
    if not rails:
        raise MeterError("no INA3221 or INA238 rail monitor: not a Jetson, or hwmon is not mounted")
    board = next((r for name in BOARD_RAILS for r in rails if r.name == name), None)
    chosen = rails if board is None else (board,)
    names = ", ".join(rail.name for rail in chosen)
    probe = PowerProbe(
        source="jetson",
        reads=f"rail {names}" if len(chosen) == 1 else f"sum of rails {names}",
        scope="board",
        read_w=lambda: _sum_w(chosen),
        period_s=0.1,
        max_gap_s=2.0,
        frozen_after_s=300.0,
    )
    return (probe,)


def find_rails(sysfs_root: Path) -> tuple[Rail, ...]:
    """Return every rail that is connected and measured."""
    return (*_mainline_rails(sysfs_root), *_iio_rails(sysfs_root))


def _mainline_rails(sysfs_root: Path) -> Iterator[Rail]:
    for chip in hwmon_chips(sysfs_root):
        if chip.name == "ina3221":
            for channel in (1, 2, 3):
                name = chip.label(f"in{channel}") or f"in{channel}"
                there = (chip.path / f"in{channel}_input").exists()
                if there and name != _NOT_CONNECTED and chip.enabled(f"in{channel}"):
                    yield Rail(name, _mainline_reader(chip, channel))
        elif chip.name == "ina238":
            yield Rail(chip.label("power1") or "VIN", _microwatts(chip.path / "power1_input"))


def _iio_rails(sysfs_root: Path) -> Iterator[Rail]:
    for device in listing(sysfs_root, "bus/i2c/drivers/ina3221x/*/iio:device*"):
        for label in listing(device, "rail_name_*"):
            name = read_text(label)
            if name and name != _NOT_CONNECTED:
                yield Rail(name, _iio_reader(device, label.name.removeprefix("rail_name_")))


def _mainline_reader(chip: Chip, channel: int) -> Callable[[], float | None]:
    millivolts, milliamps = chip.path / f"in{channel}_input", chip.path / f"curr{channel}_input"
    return lambda: _times(millivolts, milliamps, scale=1e-6)


def _iio_reader(device: Path, channel: str) -> Callable[[], float | None]:
    milliwatts = device / f"in_power{channel}_input"
    millivolts = device / f"in_voltage{channel}_input"
    milliamps = device / f"in_current{channel}_input"

    def read_w() -> float | None:
        power_mw = read_number(milliwatts)
        return _times(millivolts, milliamps, scale=1e-6) if power_mw is None else power_mw * 1e-3

    return read_w


def _microwatts(path: Path) -> Callable[[], float | None]:
    def read_w() -> float | None:
        power_uw = read_number(path)
        return None if power_uw is None else power_uw * 1e-6

    return read_w


def _times(one: Path, other: Path, *, scale: float) -> float | None:
    a, b = read_number(one), read_number(other)
    return None if a is None or b is None else a * b * scale


def _sum_w(rails: tuple[Rail, ...]) -> float | None:
    """Add up rails; a sum that lacks one would be a lie."""
    powers_w = [rail.read_w() for rail in rails]
    return None if None in powers_w else sum(power_w or 0.0 for power_w in powers_w)
