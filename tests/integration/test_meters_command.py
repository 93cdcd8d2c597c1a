"""``sentryfuse meter`` on made-up machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sentryfuse.cli import main
from tests.fake_sysfs import FakeSysfs


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    tree = FakeSysfs(tmp_path / "sys")
    tree.ina3221(1, {1: ("VDD_IN", 5040, 1200)})
    tree.hwmon(0, "power_meter", {"power1_average": 185_000_000})
    return tree


def ask(capsys: pytest.CaptureFixture[str], sysfs: FakeSysfs, *arguments: str) -> str:
    code = main(["meter", "--sysfs-root", str(sysfs.root), "--seconds", "0.2", *arguments])
    seen = capsys.readouterr()
    assert (code, seen.err) == (0, "")
    return seen.out


def test_the_table_says_of_every_back_end_whether_it_is_used_or_why_not(
    capsys: pytest.CaptureFixture[str], sysfs: FakeSysfs
) -> None:
    rows = {line.split()[0]: line for line in ask(capsys, sysfs).splitlines() if line.split()}

    assert "in use   measured   100 ms" in rows["jetson"]
    assert "rail VDD_IN" in rows["jetson"]
    assert "no RAPL zone" in rows["rapl"]
    assert "185.00" in rows["hwmon"]
    assert "no battery" in rows["battery"]
    assert rows["source"].split() == ["source", "jetson"]


def test_json_holds_the_findings_and_a_reading(
    capsys: pytest.CaptureFixture[str], sysfs: FakeSysfs
) -> None:
    said: dict[str, Any] = json.loads(ask(capsys, sysfs, "--json"))

    assert (said["source"], said["quality"], said["covers"]) == ("jetson", "measured", "node")
    assert said["power_w"] == pytest.approx(6.048, rel=0.2)
    assert [m["source"] for m in said["meters"] if m["in_use"]] == ["jetson"]
    assert {m["source"]: m["found"] for m in said["meters"]} == {
        "jetson": True,
        "rapl": False,
        "hwmon": True,
        "rpi5": False,
        "battery": False,
        "nvml": False,
        "cpu-time": True,
    }


def test_all_that_were_found_can_be_watched_side_by_side(
    capsys: pytest.CaptureFixture[str], sysfs: FakeSysfs
) -> None:
    said: dict[str, Any] = json.loads(ask(capsys, sysfs, "--all", "--json"))

    power_w = {reading["source"]: reading["power_w"] for reading in said["readings"]}
    assert power_w["jetson"] == pytest.approx(6.048, rel=0.2)
    assert power_w["hwmon"] == pytest.approx(185.0, rel=0.2)
    assert power_w["cpu-time"] > 0


def test_a_meter_that_is_not_there_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], sysfs: FakeSysfs
) -> None:
    assert main(["meter", "--meter", "rapl", "--sysfs-root", str(sysfs.root)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("sentryfuse: the rapl meter can't be used: no RAPL zone")
    assert err.count("\n") == 1
