from __future__ import annotations

import pytest

from sentryfuse.energy.hwmon import find_hwmon
from sentryfuse.energy.probe import CounterProbe, PowerProbe
from sentryfuse.errors import MeterError
from tests.fake_sysfs import FakeSysfs


def power(sysfs: FakeSysfs) -> PowerProbe:
    probe = find_hwmon(sysfs.root)[0]
    assert isinstance(probe, PowerProbe)
    return probe


@pytest.mark.parametrize("in_device", [False, True])
def test_the_acpi_power_meter_is_read_wherever_its_driver_keeps_it(
    sysfs: FakeSysfs, in_device: bool
) -> None:
    files = {"power1_average": 185_000_000, "power1_average_interval": 2000}
    sysfs.hwmon(4, "power_meter", files, in_device=in_device)

    probe = power(sysfs)

    assert (probe.read_w(), probe.period_s, probe.scope) == (185.0, 2.0, "board")


def test_an_average_is_preferred_to_an_instant(sysfs: FakeSysfs) -> None:
    sysfs.hwmon(0, "power_meter", {"power1_input": 9_000_000, "power1_average": 7_000_000})

    assert power(sysfs).read_w() == 7.0


def test_energy_is_preferred_to_power(sysfs: FakeSysfs) -> None:
    sysfs.hwmon(0, "ltc4282", {"power1_input": 9_000_000, "energy1_input": 123_000_000})

    (probe,) = find_hwmon(sysfs.root)

    assert isinstance(probe, CounterProbe)
    assert probe.read_j() == 123.0


def test_a_channel_without_a_value_gives_way_to_the_next_best(sysfs: FakeSysfs) -> None:
    sysfs.hwmon(0, "power_meter", {"power1_average": "", "power1_input": 5_000_000})

    assert power(sysfs).read_w() == 5.0


@pytest.mark.parametrize(
    "files",
    [
        {"power1_input": 9_000_000, "power1_enable": 0},
        {"power1_input": 9_000_000, "power1_is_battery": 1},
        {"power1_input": "nonsense"},
        {"in1_input": 12_000, "temp1_input": 45_000},
    ],
)
def test_a_chip_that_is_off_a_battery_or_measures_no_power_is_left_out(
    sysfs: FakeSysfs, files: dict[str, object]
) -> None:
    sysfs.hwmon(0, "power_meter", files)

    with pytest.raises(MeterError, match=r"chips seen: power_meter"):
        find_hwmon(sysfs.root)


@pytest.mark.parametrize("name", ["amdgpu", "nouveau", "ina3221", "ina238"])
def test_gpus_and_what_the_jetson_meter_reads_are_left_out(sysfs: FakeSysfs, name: str) -> None:
    sysfs.hwmon(0, name, {"power1_average": 30_000_000})

    with pytest.raises(MeterError, match="no chip"):
        find_hwmon(sysfs.root)


def test_what_a_power_supply_shows_here_are_limits_or_the_battery(sysfs: FakeSysfs) -> None:
    device = sysfs.supply("ucsi-source-psy-USBC000:001", type="USB", online=1)
    for file, value in {"name": "ucsi_source_psy_USBC000:001", "power1_input": 60_000_000}.items():
        sysfs.write(f"{device.relative_to(sysfs.root)}/hwmon3/{file}", value)
    folder = sysfs.root / "class/hwmon"
    folder.mkdir(parents=True)
    (folder / "hwmon3").symlink_to(device / "hwmon3")

    with pytest.raises(MeterError, match="no chip"):
        find_hwmon(sysfs.root)


def test_of_several_channels_only_one_that_holds_the_others_is_used(sysfs: FakeSysfs) -> None:
    watts = {1: ("power total", 80), 2: ("power +12v", 60), 3: ("power +5v", 10)}
    files = {f"power{n}_label": label for n, (label, _) in watts.items()}
    sysfs.hwmon(
        0, "corsairpsu", files | {f"power{n}_input": w * 1e6 for n, (_, w) in watts.items()}
    )

    assert power(sysfs).read_w() == 80.0


def test_several_channels_that_may_overlap_are_not_added_up(sysfs: FakeSysfs) -> None:
    files = {f"power{n}_{what}": v for n in (1, 2) for what, v in (("label", "x"), ("input", 1e6))}
    sysfs.hwmon(0, "zenpower", files)

    with pytest.raises(MeterError, match=r"chips seen: zenpower"):
        find_hwmon(sysfs.root)


def test_sockets_of_amd_energy_add_up_without_their_cores(sysfs: FakeSysfs) -> None:
    labels = ("Ecore000", "Ecore001", "Esocket0", "Esocket1")
    files: dict[str, object] = {f"energy{i}_label": label for i, label in enumerate(labels, 1)}
    files |= {f"energy{i}_input": i * 1_000_000 for i in range(1, 5)}
    sysfs.hwmon(0, "amd_energy", files)

    (probe,) = find_hwmon(sysfs.root)

    assert isinstance(probe, CounterProbe)
    assert (probe.read_j(), probe.scope) == (7.0, "cpu")


def test_chips_of_one_driver_add_up_and_different_drivers_stand_by(sysfs: FakeSysfs) -> None:
    sysfs.hwmon(0, "fam15h_power", {"power1_input": 40_000_000})
    sysfs.hwmon(1, "ina226", {"power1_input": 12_000_000})
    sysfs.hwmon(2, "power_meter", {"power1_average": 100_000_000})
    sysfs.hwmon(10, "power_meter", {"power1_average": 50_000_000})

    probes = find_hwmon(sysfs.root)

    assert [p.read_w() for p in probes if isinstance(p, PowerProbe)] == [150.0, 12.0, 40.0]
