"""Our readers against Prometheus' node_exporter, which reads the same made-up /sys on its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sentryfuse.energy.battery import power_w
from sentryfuse.energy.hwmon import find_hwmon
from sentryfuse.energy.jetson import find_rails
from sentryfuse.energy.probe import CounterProbe, PowerProbe
from sentryfuse.energy.rapl import find_rapl
from tests.fake_sysfs import FakeSysfs
from tests.integration.redis_server import free_port

START_DEADLINE_S = 20.0
COLLECTORS = ("rapl", "hwmon", "powersupplyclass")


@dataclass(frozen=True)
class Exporter:
    """One running node_exporter and the tree it reads."""

    url: str
    sysfs: FakeSysfs

    def values(self, name: str, **labels: str) -> list[float]:
        """Every sample with this name and these labels."""
        return [
            float(line.rpartition(" ")[2])
            for line in httpx.get(self.url, trust_env=False).text.splitlines()
            if line.partition("{")[0] == name
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        ]

    def value(self, name: str, **labels: str) -> float:
        """The only sample with this name and these labels."""
        (only,) = self.values(name, **labels)
        return only


def same(theirs: float) -> object:
    """Equal but for the last digits of a float."""
    return pytest.approx(theirs, rel=1e-12)


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    program = shutil.which("prometheus-node-exporter")
    if program is None:
        pytest.skip("prometheus-node-exporter is not installed (apt-get install it)")
    (tmp_path / "sys").mkdir()
    url = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            program,
            f"--path.sysfs={tmp_path / 'sys'}",
            f"--web.listen-address={url}",
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in COLLECTORS),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(f"http://{url}", process)
        yield Exporter(f"http://{url}/metrics", FakeSysfs(tmp_path / "sys"))
    finally:
        process.kill()
        process.wait()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            assert process.poll() is None, "node_exporter ended by itself"
            assert time.monotonic() < deadline, "node_exporter never answered"
            time.sleep(0.02)


def test_rapl_zones_read_the_same_joules_while_they_count(exporter: Exporter) -> None:
    sysfs = exporter.sysfs
    for socket in (0, 1):
        sysfs.zone(f"intel-rapl:{socket}", f"package-{socket}", 1000.0 + 500 * socket)
        sysfs.zone(f"intel-rapl:{socket}/intel-rapl:{socket}:0", "core", 400.0)
        sysfs.zone(f"intel-rapl:{socket}/intel-rapl:{socket}:1", "dram", 90.0 + 7 * socket)
    sysfs.zone("intel-rapl:2", "psys", 5000.0)
    psys, packages = find_rapl(sysfs.root)
    energies = sorted(sysfs.root.glob("devices/virtual/powercap/**/energy_uj"))

    for step in range(3):
        for number, path in enumerate(energies):
            energy_uj = 262_143_328_850 - (7_777_777 * number + 1) * step
            sysfs.write(str(path.relative_to(sysfs.root)), energy_uj)
        package_j = exporter.values("node_rapl_package_joules_total")
        dram_j = exporter.values("node_rapl_dram_joules_total")
        assert (len(package_j), len(dram_j)) == (2, 2)
        assert packages.read_j() == same(sum(package_j) + sum(dram_j))
        assert psys.read_j() == same(exporter.value("node_rapl_psys_joules_total"))


def test_rails_of_an_ina3221_read_the_same_volts_times_amperes(exporter: Exporter) -> None:
    rails = {1: ("VDD_IN", 5040, 1234), 2: ("VDD_CPU_GPU_CV", 4984, 401), 3: ("VDD_SOC", 5032, 7)}
    exporter.sysfs.ina3221(3, rails)

    ours = {rail.name: rail.read_w() for rail in find_rails(exporter.sysfs.root)}

    for channel, (name, _, _) in rails.items():
        volts = exporter.value("node_hwmon_in_volts", sensor=f"in{channel}")
        amps = exporter.value("node_hwmon_curr_amps", sensor=f"curr{channel}")
        assert ours[name] == same(volts * amps)
    assert len(ours) == 3


@pytest.mark.parametrize("in_device", [False, True])
def test_the_acpi_power_meter_reads_the_same_watts(exporter: Exporter, in_device: bool) -> None:
    exporter.sysfs.hwmon(0, "power_meter", {"power1_average": 185_250_000}, in_device=in_device)

    (probe,) = find_hwmon(exporter.sysfs.root)

    assert isinstance(probe, PowerProbe)
    assert probe.read_w() == same(exporter.value("node_hwmon_power_average_watt"))


def test_energy_of_a_chip_reads_the_same_joules(exporter: Exporter) -> None:
    exporter.sysfs.hwmon(0, "ltc4282", {"energy1_input": 987_654_321})

    (probe,) = find_hwmon(exporter.sysfs.root)

    assert isinstance(probe, CounterProbe)
    assert probe.read_j() == same(exporter.value("node_hwmon_energy_joule_total"))


def test_a_battery_reads_the_same_watts_or_volts_times_amperes(exporter: Exporter) -> None:
    common = {"type": "Battery", "status": "Discharging", "voltage_now": 11_812_000}
    one = exporter.sysfs.supply("BAT0", **common, power_now=6_583_000)
    two = exporter.sysfs.supply("BAT1", **common, current_now=512_000)

    watts = exporter.value("node_power_supply_power_watt", power_supply="BAT0")
    volts = exporter.value("node_power_supply_voltage_volt", power_supply="BAT1")
    amps = exporter.value("node_power_supply_current_ampere", power_supply="BAT1")

    assert power_w(one) == same(watts)
    assert power_w(two) == same(volts * amps)
