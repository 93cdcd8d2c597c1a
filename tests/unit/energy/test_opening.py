from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from sentryfuse.energy import CpuTimeMeter, find_meters, open_meter
from sentryfuse.errors import ConfigError, MeterError
from tests.fake_sysfs import FakeSysfs, unprivileged, walkable_sysfs
from tests.unit.energy.fake_nvml import Gpu
from tests.unit.energy.hosts import bare_host, full_host, ticking

GPU = Gpu(energy_mj=5_000)


def source(root: Path, **offers: object) -> str:
    with closing(open_meter("auto", host=bare_host(root, **offers))) as meter:
        return meter.source


def test_a_host_without_sensors_gets_the_plain_model_of_this_process(tmp_path: Path) -> None:
    meter = open_meter("auto", watts_per_core=4.0, host=bare_host(tmp_path))

    assert isinstance(meter, CpuTimeMeter)
    assert (meter.covers, meter.idle_power_w) == ("process", 3.0)


def test_the_order_is_board_rail_rapl_hwmon_pi_battery(tmp_path: Path) -> None:
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.supply("BAT0", type="Battery", status="Discharging", power_now=6_580_000)
    assert source(tmp_path) == "battery"
    assert source(tmp_path, pmic=True) == "rpi5"
    sysfs.hwmon(0, "power_meter", {"power1_average": 185_000_000})
    assert source(tmp_path, pmic=True) == "hwmon"
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    with ticking(tmp_path):
        assert source(tmp_path, pmic=True) == "rapl"
        sysfs.ina3221(1, {1: ("VDD_IN", 5040, 1200)})
        assert source(tmp_path, pmic=True) == "jetson"


def test_a_counter_that_stands_still_from_the_start_is_passed_over(tmp_path: Path) -> None:
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    assert source(tmp_path) == "cpu-time"
    sysfs.hwmon(0, "power_meter", {"power1_average": 185_000_000})
    assert source(tmp_path) == "hwmon"


def test_a_sensor_that_reads_what_cannot_be_is_passed_over(tmp_path: Path) -> None:
    FakeSysfs(tmp_path / "sys").ina3221(1, {1: ("VDD_IN", 5040, 0)})

    assert source(tmp_path) == "cpu-time"
    with pytest.raises(MeterError, match="jetson meter can't be used: rail VDD_IN reads 0 W"):
        open_meter("jetson", host=bare_host(tmp_path))


def test_counters_that_belong_to_root_leave_the_model(tmp_path: Path) -> None:
    with walkable_sysfs() as tree:
        tree.zone("intel-rapl:0", "package-0", 1000.0)
        with unprivileged(tree):
            meter = open_meter("auto", sysfs_root=tree.root)
    assert meter.source == "cpu-time"


def test_a_gpu_stands_beside_what_does_not_see_it(tmp_path: Path) -> None:
    assert source(tmp_path, gpus=[GPU]) == "cpu-time+nvml"
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    with ticking(tmp_path):
        assert source(tmp_path, gpus=[GPU]) == "rapl+nvml"
        sysfs.ina3221(1, {1: ("VDD_IN", 5040, 1200)})
        assert source(tmp_path, gpus=[GPU]) == "jetson"


def test_beside_a_gpu_the_model_covers_the_node_too(tmp_path: Path) -> None:
    with closing(open_meter("auto", host=bare_host(tmp_path, gpus=[GPU]))) as meter:
        assert (meter.covers, meter.quality) == ("node", "modelled")


def test_a_sensor_is_followed_by_the_model_of_the_whole_node(tmp_path: Path) -> None:
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    host = bare_host(tmp_path)
    with ticking(tmp_path):
        meter = open_meter("rapl", watts_per_core=5.0, idle_power_w=0.0, host=host)
    energy = next(sysfs.root.glob("devices/virtual/powercap/*/*/energy_uj"))
    energy.unlink()
    deadline_s = time.monotonic() + 20
    heard = [meter.joules()]
    while meter.source == "rapl" and time.monotonic() < deadline_s:
        time.sleep(0.02)
        heard.append(meter.joules())
    (tmp_path / "proc/stat").write_text("cpu  300 0 0 0 0 0 0 0 0 0\n")
    time.sleep(0.02)
    after_j = meter.joules()
    meter.close()

    assert (meter.source, meter.quality, meter.covers) == ("cpu-time", "modelled", "node")
    assert (meter.failovers, meter.faults) == (1, {"vanished": 1})
    assert heard == sorted(heard)
    assert after_j == pytest.approx(heard[-1] + 200 / os.sysconf("SC_CLK_TCK") * 5.0)


def test_a_stated_idle_power_reaches_every_meter(tmp_path: Path) -> None:
    host = full_host(tmp_path)
    for name in ("auto", "hwmon", "battery", "cpu-time"):
        with closing(open_meter(name, idle_power_w=4.5, host=host)) as meter:
            assert meter.idle_power_w == 4.5


@pytest.mark.parametrize("name", ["auto", "cpu-time", "jetson"])
def test_powers_that_make_no_sense_are_refused_whatever_the_meter(
    tmp_path: Path, name: str
) -> None:
    host = full_host(tmp_path)
    with pytest.raises(ConfigError, match="watts_per_core"):
        open_meter(name, watts_per_core=-1.0, host=host)
    with pytest.raises(ConfigError, match="idle_power_w"):
        open_meter(name, idle_power_w=float("nan"), host=host)


def test_opening_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    host = full_host(tmp_path)
    with ticking(tmp_path):
        began_s = time.perf_counter()
        open_meter("auto", host=host).close()

    assert time.perf_counter() - began_s < 1.0


def test_every_back_end_is_found_with_its_power_where_it_is(tmp_path: Path) -> None:
    host = full_host(tmp_path)
    with ticking(tmp_path, power_w=50.0):
        findings = {finding.source: finding for finding in find_meters(host=host)}

    assert all(finding.found for finding in findings.values())
    assert findings["jetson"].power_w == pytest.approx(6.048)
    assert findings["hwmon"].power_w == 185.0
    assert findings["rpi5"].power_w == pytest.approx(1.1451 * 2.0 + 0.5879)
    assert findings["battery"].power_w == pytest.approx(6.58)
    assert findings["rapl"].power_w is not None
    assert findings["rapl"].power_w > 0
    assert findings["rapl"].reason == "package-0"
    assert findings["nvml"].power_w is None  # its counter did not tick
    assert findings["cpu-time"].quality == "modelled"


def test_where_nothing_is_found_every_reason_is_told(tmp_path: Path) -> None:
    findings = find_meters(host=bare_host(tmp_path))

    assert [f.source for f in findings if f.found] == ["cpu-time"]
    assert all(f.reason and f.power_w is None for f in findings)
    assert all(f.resolution_s is None for f in findings if not f.found)
