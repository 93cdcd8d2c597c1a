from __future__ import annotations

from pathlib import Path

import pytest

from sentryfuse.energy.battery import find_battery
from sentryfuse.errors import MeterError
from tests.fake_sysfs import FakeSysfs


def battery(sysfs: FakeSysfs, name: str = "BAT0", **files: object) -> Path:
    return sysfs.supply(name, **{"type": "Battery", "status": "Discharging", "present": 1, **files})


def power_w(sysfs: FakeSysfs) -> float | None:
    (probe,) = find_battery(sysfs.root)
    return probe.read_w()


@pytest.mark.parametrize("power_uw", [6_580_000, -6_580_000])
def test_the_magnitude_counts_since_drivers_disagree_on_the_sign(
    sysfs: FakeSysfs, power_uw: int
) -> None:
    battery(sysfs, power_now=power_uw)
    assert power_w(sysfs) == pytest.approx(6.58)


@pytest.mark.parametrize("current_ua", [500_000, -500_000])
def test_without_power_current_times_voltage_is_it(sysfs: FakeSysfs, current_ua: int) -> None:
    battery(sysfs, current_now=current_ua, voltage_now=11_800_000)
    assert power_w(sysfs) == pytest.approx(5.9)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_that_does_not_discharge_does_not_feed_the_node(
    sysfs: FakeSysfs, status: str
) -> None:
    battery(sysfs, power_now=6_580_000, status=status)
    with pytest.raises(MeterError, match=f"BAT0 is {status}"):
        find_battery(sysfs.root)


def test_once_it_is_plugged_in_there_is_no_reading_and_then_there_is_again(
    sysfs: FakeSysfs,
) -> None:
    path = battery(sysfs, power_now=6_580_000)
    (probe,) = find_battery(sysfs.root)
    (path / "status").write_text("Charging\n")
    assert probe.read_w() is None
    (path / "status").write_text("Discharging\n")
    assert probe.read_w() == pytest.approx(6.58)


def test_batteries_that_discharge_add_up_and_a_resting_one_is_nothing(sysfs: FakeSysfs) -> None:
    battery(sysfs, "BAT0", power_now=6_000_000)
    battery(sysfs, "BAT1", power_now=1_000_000)
    battery(sysfs, "BAT2", power_now=9_000_000, status="Not charging")
    assert power_w(sysfs) == pytest.approx(7.0)


def test_limits_adapters_mice_and_empty_bays_are_no_batteries(sysfs: FakeSysfs) -> None:
    battery(sysfs, "ucsi-source-psy-USBC000:001", power_now=60_000_000)
    battery(sysfs, "hidpp_battery_0", power_now=1_000, scope="Device")
    battery(sysfs, "BAT1", power_now=1_000, present=0)
    sysfs.supply("AC", type="Mains", online=1)
    with pytest.raises(MeterError, match=r"^no battery$"):
        find_battery(sysfs.root)


def test_a_battery_that_tells_no_power_is_refused(sysfs: FakeSysfs) -> None:
    battery(sysfs, capacity=81, voltage_now=11_800_000)
    with pytest.raises(MeterError, match="BAT0 tells neither power_now nor current and voltage"):
        find_battery(sysfs.root)
