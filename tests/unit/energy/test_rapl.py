from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentryfuse.energy.probe import CounterProbe
from sentryfuse.energy.rapl import find_rapl
from sentryfuse.errors import MeterError
from tests.fake_sysfs import FakeSysfs, unprivileged, walkable_sysfs


def laptop(sysfs: FakeSysfs, **options: bool) -> FakeSysfs:
    """A client processor: psys holds the package, which holds core; DRAM stands beside."""
    sysfs.zone("intel-rapl:0", "package-0", 1000.0, **options)
    sysfs.zone("intel-rapl:0/intel-rapl:0:0", "core", 400.0, **options)
    sysfs.zone("intel-rapl:0/intel-rapl:0:1", "dram", 50.0, **options)
    sysfs.zone("intel-rapl:1", "psys", 3000.0, **options)
    return sysfs


def names(probe: CounterProbe) -> list[str]:
    return [zone.name for zone in probe.zones]


def test_psys_is_read_alone_and_packages_stand_by(sysfs: FakeSysfs) -> None:
    psys, packages = find_rapl(laptop(sysfs).root)

    assert (names(psys), psys.read_j(), psys.scope) == (["psys"], 3000.0, "board")
    assert (names(packages), packages.read_j()) == (["package-0", "dram"], 1050.0)
    assert packages.scope == "cpu"


def test_packages_of_all_sockets_add_up_and_core_is_part_of_them(sysfs: FakeSysfs) -> None:
    for socket, energy_j in enumerate((1000.0, 700.0)):
        sysfs.zone(f"intel-rapl:{socket}", f"package-{socket}", energy_j)
        sysfs.zone(f"intel-rapl:{socket}/intel-rapl:{socket}:0", "core", 300.0)

    (probe,) = find_rapl(sysfs.root)

    assert names(probe) == ["package-0", "package-1"]
    assert probe.read_j() == 1700.0


@pytest.mark.parametrize("other_j", [1000.0, 1000.9])
def test_packages_that_mirror_one_counter_are_counted_once(
    sysfs: FakeSysfs, other_j: float
) -> None:
    sysfs.zone("intel-rapl:0", "package-0-die-0", 1000.0)
    sysfs.zone("intel-rapl:1", "package-0-die-1", other_j)

    (probe,) = find_rapl(sysfs.root)

    assert names(probe) == ["package-0-die-0"]


def test_the_mmio_copy_of_a_package_is_left_out(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    sysfs.zone("intel-rapl-mmio:0", "package-0", 77.0)

    (probe,) = find_rapl(sysfs.root)

    assert probe.read_j() == 1000.0


def test_dram_that_mirrors_or_cannot_be_read_is_left_out(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    sysfs.zone("intel-rapl:0/intel-rapl:0:0", "dram", 0.0).unlink()

    (probe,) = find_rapl(sysfs.root)

    assert names(probe) == ["package-0"]


def test_without_the_class_directory_the_devices_are_walked(sysfs: FakeSysfs) -> None:
    psys, packages = find_rapl(laptop(sysfs, linked=False).root)

    assert (psys.read_j(), packages.read_j()) == (3000.0, 1050.0)


def test_links_that_dangle_in_a_container_are_told(sysfs: FakeSysfs) -> None:
    folder = sysfs.root / "class/powercap"
    folder.mkdir(parents=True)
    (folder / "intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")

    with pytest.raises(MeterError, match="lead nowhere: mount /sys/devices/virtual/powercap too"):
        find_rapl(sysfs.root)


def test_dangling_links_do_not_hide_devices_that_are_mounted(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1000.0, linked=False)
    folder = sysfs.root / "class/powercap"
    folder.mkdir(parents=True)
    (folder / "intel-rapl:0").symlink_to("nowhere")

    (probe,) = find_rapl(sysfs.root)

    assert probe.read_j() == 1000.0


def test_counters_that_belong_to_root_are_told_with_their_mode() -> None:
    with walkable_sysfs() as tree:
        laptop(tree)
        with unprivileged(tree), pytest.raises(MeterError) as refusal:
            find_rapl(tree.root)

    mode = "0400" if os.geteuid() == 0 else "0000"
    assert "permission denied" in str(refusal.value)
    assert f"energy_uj (mode {mode})" in str(refusal.value)


def test_a_sum_never_lacks_a_socket(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    sysfs.zone("intel-rapl:1", "package-1", 700.0)
    sysfs.write("devices/virtual/powercap/intel-rapl/intel-rapl:1/energy_uj", "")

    with pytest.raises(MeterError, match="holds no number"):
        find_rapl(sysfs.root)


def test_each_zone_wraps_at_its_own_range_and_is_read_well_before(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1000.0, range_j=262143.32885)
    sysfs.zone("intel-rapl:0/intel-rapl:0:0", "dram", 50.0, range_j=65532.610987)

    (probe,) = find_rapl(sysfs.root)

    assert [zone.range_j for zone in probe.zones] == [262143.32885, 65532.610987]
    assert probe.keep_period_s <= 65532.610987 / max(zone.max_power_w for zone in probe.zones) / 4


@pytest.mark.parametrize("range_j", [None, 0.0])
def test_a_range_the_kernel_does_not_tell_is_unknown(
    sysfs: FakeSysfs, range_j: float | None
) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1000.0, range_j=range_j)

    (probe,) = find_rapl(sysfs.root)

    assert probe.zones[0].range_j is None


def test_a_zone_that_vanishes_or_answers_nonsense_reads_as_nothing(sysfs: FakeSysfs) -> None:
    energy = sysfs.zone("intel-rapl:0", "package-0", 1000.0)
    (probe,) = find_rapl(sysfs.root)
    energy.chmod(0o600)
    energy.write_text("what?")
    assert probe.read_j() is None
    energy.unlink()
    assert probe.read_j() is None


def test_a_counter_that_stands_still_is_not_believed(sysfs: FakeSysfs) -> None:
    (probe,) = find_rapl(laptop(sysfs).root)[1:]

    with pytest.raises(MeterError, match=r"package-0 \+ dram stands still at 1050 J"):
        probe.check()


def test_a_host_without_zones_says_why_that_may_be(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"no RAPL zone: .*virtual machine"):
        find_rapl(tmp_path)


def test_zones_that_are_neither_platform_nor_package_are_named(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "uncore", 1.0)

    with pytest.raises(MeterError, match="no psys or package zone among the RAPL zones: uncore"):
        find_rapl(sysfs.root)
