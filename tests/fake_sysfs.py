"""A made-up /sys laid out like the kernel's: class directories hold links to devices.

prometheus-node-exporter reads it as it reads a real one (integration/test_meters_node_exporter.py).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
POWERCAP = "devices/virtual/powercap/intel-rapl"


@dataclass(frozen=True)
class FakeSysfs:
    """Writes what a test needs below ``root``."""

    root: Path

    def write(self, path: str, value: object) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            file.chmod(0o600)
        file.write_text(f"{value}\n")
        return file

    def zone(
        self,
        path: str,
        name: str,
        energy_j: float,
        *,
        range_j: float | None = 262143.32885,
        linked: bool = True,
    ) -> Path:
        """A powercap zone such as ``intel-rapl:0`` or ``intel-rapl:0/intel-rapl:0:1``."""
        top = POWERCAP.replace("intel-rapl", path.split(":")[0])
        self.write(f"{top}/{path}/name", name)
        if range_j is not None:
            self.write(f"{top}/{path}/max_energy_range_uj", round(range_j * 1e6))
        if linked:
            link = self.root / "class/powercap" / path.split("/")[-1]
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../../{top}/{path}")
        energy = self.write(f"{top}/{path}/energy_uj", round(energy_j * 1e6))
        energy.chmod(0o400)
        return energy

    def hwmon(
        self, number: int, name: str, files: Mapping[str, object], *, in_device: bool = False
    ) -> Path:
        """A chip; ``in_device`` puts its values where older drivers do."""
        device = f"devices/platform/{name}.{number}"
        home = device if in_device else f"{device}/hwmon/hwmon{number}"
        for file, value in {"name": name, **files}.items():
            self.write(f"{home}/{file}", value)
        own = self.root / f"{device}/hwmon/hwmon{number}"
        own.mkdir(parents=True, exist_ok=True)
        (own / "device").symlink_to("../..")
        self._link("hwmon", f"hwmon{number}", f"{device}/hwmon/hwmon{number}")
        return self.root / home

    def ina3221(self, number: int, rails: Mapping[int, tuple[str, float, float]]) -> Path:
        """A rail monitor: channel to (label, millivolts, milliamperes), and its shunt sum."""
        files: dict[str, object] = {"in7_label": "sum of shunt voltages", "in7_input": 9}
        for channel, (label, millivolts, milliamps) in rails.items():
            files |= {
                f"in{channel}_label": label,
                f"in{channel}_enable": 1,
                f"in{channel}_input": millivolts,
                f"curr{channel}_input": milliamps,
                f"in{channel + 3}_input": 1,
            }
        return self.hwmon(number, "ina3221", files)

    def supply(self, name: str, **files: object) -> Path:
        """A battery or adapter."""
        device = f"devices/LNXSYSTM:00/power_supply/{name}"
        for file, value in files.items():
            self.write(f"{device}/{file}", value)
        # The kernel announces supplies this way, and node_exporter reads nothing else.
        shown = {"POWER_SUPPLY_NAME": name} | {
            f"POWER_SUPPLY_{file.upper()}": value for file, value in files.items()
        }
        self.write(f"{device}/uevent", "\n".join(f"{k}={v}" for k, v in shown.items()))
        self._link("power_supply", name, device)
        return self.root / device

    def _link(self, kind: str, name: str, device: str) -> None:
        link = self.root / "class" / kind / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../{device}")


@contextmanager
def walkable_sysfs() -> Iterator[FakeSysfs]:
    """A tree that other users may walk too, which pytest's own folders forbid."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield FakeSysfs(Path(folder))


@contextmanager
def unprivileged(tree: FakeSysfs) -> Iterator[None]:
    """Meanwhile this process has no right to read the counters of energy."""
    if os.geteuid() != 0:  # the tester owns the tree: take even the owner's right away
        for file in tree.root.rglob("energy_uj"):
            file.chmod(0)
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
