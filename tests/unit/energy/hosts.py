"""Made-up hosts on which every meter can be opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sentryfuse.energy import Host
from sentryfuse.energy.nvml import Nvml
from sentryfuse.errors import MeterError
from tests.fake_sysfs import FakeSysfs
from tests.unit.energy.fake_nvml import FakeNvml, Gpu

PMIC = "VDD_CORE_A current(7)=2.5A\nVDD_CORE_V volt(15)=0.8V\n"


def no_vcgencmd(command: Sequence[str]) -> str:
    raise MeterError("vcgencmd is not installed")


def no_nvml() -> Nvml:
    raise MeterError("nvidia-ml-py is not installed")


def bare_host(root: Path, *, gpus: Sequence[Gpu] = (), pmic: bool = False) -> Host:
    """A host with a /proc of its own, and only what is asked for."""
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text("cpu  100 0 0 0 0 0 0 0 0 0\n")
    nvml = FakeNvml(list(gpus))
    return Host(
        sysfs_root=root / "sys",
        proc_root=root / "proc",
        run=(lambda command: PMIC) if pmic else no_vcgencmd,
        load_nvml=(lambda: nvml) if gpus else no_nvml,
    )


def full_host(root: Path) -> Host:
    """A host that has everything at once."""
    sysfs = FakeSysfs(root / "sys")
    sysfs.ina3221(1, {1: ("VDD_IN", 5040, 1200), 2: ("VDD_SOC", 5040, 260)})
    sysfs.hwmon(0, "power_meter", {"power1_average": 185_000_000})
    sysfs.supply("BAT0", type="Battery", status="Discharging", power_now=6_580_000)
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    return bare_host(root, gpus=[Gpu(energy_mj=5_000, mean_mw=30_000)], pmic=True)


@contextmanager
def ticking(root: Path, *, power_w: float = 50.0) -> Iterator[None]:
    """Meanwhile every RAPL zone below counts, about every millisecond as real ones do."""
    files = sorted((root / "sys/devices").glob("virtual/powercap/**/energy_uj"))
    stop = threading.Event()

    def run() -> None:
        values = {file: float(file.read_text()) for file in files}
        while not stop.wait(0.001):
            for file in files:
                values[file] += power_w * 1e3
                new = file.with_name("new")  # replaced whole: the kernel shows no half numbers
                new.write_text(f"{values[file]:.0f}\n")
                os.replace(new, file)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
