from __future__ import annotations

from pathlib import Path

import pytest

from sentryfuse.energy.jetson import find_jetson
from sentryfuse.errors import MeterError
from tests.fake_sysfs import FakeSysfs

ORIN_NX = {
    1: ("VDD_IN", 5040, 1200),
    2: ("VDD_CPU_GPU_CV", 5040, 400),
    3: ("VDD_SOC", 5040, 260),
}


def power_w(sysfs: FakeSysfs) -> float | None:
    (probe,) = find_jetson(sysfs.root)
    return probe.read_w()


def test_millivolts_times_milliamperes_of_the_input_rail_are_the_boards_power(
    sysfs: FakeSysfs,
) -> None:
    sysfs.ina3221(1, ORIN_NX)

    assert power_w(sysfs) == pytest.approx(5.040 * 1.200)


@pytest.mark.parametrize("rail", ["VIN", "POM_5V_IN"])
def test_other_boards_call_the_input_rail_otherwise(sysfs: FakeSysfs, rail: str) -> None:
    sysfs.ina3221(0, {1: ("POM_5V_GPU", 5000, 100), 2: (rail, 5000, 900)})

    (probe,) = find_jetson(sysfs.root)

    assert (probe.reads, probe.read_w()) == (f"rail {rail}", pytest.approx(4.5))


def test_without_an_input_rail_all_rails_of_all_chips_add_up(sysfs: FakeSysfs) -> None:
    sysfs.ina3221(1, {1: ("GPU", 19000, 100), 2: ("CPU", 19000, 50), 3: ("SOC", 19000, 30)})
    sysfs.ina3221(2, {1: ("CV", 19000, 0), 2: ("VDDRQ", 19000, 20), 3: ("SYS5V", 5000, 400)})

    assert power_w(sysfs) == pytest.approx(19 * 0.200 + 5 * 0.400)


def test_shunt_voltages_unconnected_and_disabled_channels_are_no_rails(sysfs: FakeSysfs) -> None:
    home = sysfs.ina3221(1, {1: ("CPU", 5000, 200), 2: ("NC", 5000, 999), 3: ("GPU", 5000, 999)})
    (home / "in3_enable").write_text("0\n")

    (probe,) = find_jetson(sysfs.root)

    assert (probe.reads, probe.read_w()) == ("rail CPU", pytest.approx(1.0))


def test_the_chip_is_known_by_its_name_and_not_by_its_number(sysfs: FakeSysfs) -> None:
    sysfs.hwmon(0, "tmp451", {"in1_label": "VDD_IN", "in1_input": 1, "curr1_input": 1})
    sysfs.ina3221(7, ORIN_NX)

    assert power_w(sysfs) == pytest.approx(6.048)


def test_drivers_without_the_class_are_enough_and_with_it_nothing_counts_twice(
    sysfs: FakeSysfs,
) -> None:
    home = sysfs.ina3221(1, {1: ("GPU", 5000, 100), 2: ("CPU", 5000, 100)})
    driver = sysfs.root / "bus/i2c/drivers/ina3221"
    driver.mkdir(parents=True)
    (driver / "1-0040").symlink_to(home.parent.parent)
    assert power_w(sysfs) == pytest.approx(1.0)

    (sysfs.root / "class/hwmon/hwmon1").unlink()
    assert power_w(sysfs) == pytest.approx(1.0)


def test_jetpack_4_tells_milliwatts_or_volts_and_amperes(sysfs: FakeSysfs) -> None:
    device = "bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    for channel, name in enumerate(("POM_5V_IN", "POM_5V_GPU", "NC")):
        sysfs.write(f"{device}/rail_name_{channel}", name)
    sysfs.write(f"{device}/in_voltage0_input", 5000)
    sysfs.write(f"{device}/in_current0_input", 500)
    assert power_w(sysfs) == pytest.approx(2.5)

    sysfs.write(f"{device}/in_power0_input", 2400)
    assert power_w(sysfs) == pytest.approx(2.4)


def test_an_ina238_tells_the_boards_microwatts(sysfs: FakeSysfs) -> None:
    sysfs.ina3221(1, {1: ("VDD_GPU", 5000, 100)})
    sysfs.hwmon(2, "ina238", {"power1_input": 31_500_000, "in1_input": 12000})

    (probe,) = find_jetson(sysfs.root)

    assert (probe.reads, probe.read_w()) == ("rail VIN", pytest.approx(31.5))


def test_a_sum_that_lacks_a_rail_is_no_reading(sysfs: FakeSysfs) -> None:
    home = sysfs.ina3221(1, {1: ("GPU", 5000, 100), 2: ("CPU", 5000, 100)})
    (probe,) = find_jetson(sysfs.root)
    (home / "curr2_input").unlink()

    assert probe.read_w() is None


def test_another_machine_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="not a Jetson"):
        find_jetson(tmp_path)
