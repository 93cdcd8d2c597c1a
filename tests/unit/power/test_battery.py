from __future__ import annotations

from pathlib import Path

import pytest

from app.power.battery import charge_ratio


def battery(root: Path, name: str, **files: str) -> None:
    folder = root / "class/power_supply" / name
    folder.mkdir(parents=True)
    for file, text in {"type": "Battery", **files}.items():
        (folder / file).write_text(f"{text}\n")


def test_the_charge_is_the_mean_of_the_nodes_batteries(tmp_path: Path) -> None:
    battery(tmp_path, "BAT0", capacity="40")
    battery(tmp_path, "BAT1", capacity="80")
    battery(tmp_path, "mouse", capacity="1", scope="Device")
    assert charge_ratio(tmp_path) == pytest.approx(0.6)


@pytest.mark.parametrize("capacity", ["", "full", "nan"])
def test_a_battery_that_does_not_tell_is_none(tmp_path: Path, capacity: str) -> None:
    battery(tmp_path, "BAT0", capacity=capacity)
    assert charge_ratio(tmp_path) is None


def test_a_charge_beyond_full_is_full(tmp_path: Path) -> None:
    battery(tmp_path, "BAT0", capacity="104")
    assert charge_ratio(tmp_path) == 1.0


def test_a_node_without_battery_has_no_charge(tmp_path: Path) -> None:
    assert charge_ratio(tmp_path) is None
