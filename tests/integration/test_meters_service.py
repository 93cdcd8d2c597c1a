"""The service on made-up machines: the settings reach the meter and the meter the figures."""

from __future__ import annotations

from pathlib import Path

from tests.fake_sysfs import FakeSysfs
from tests.integration.http_server import StartHttp


def test_a_board_rail_is_what_the_node_reports(start_http: StartHttp, tmp_path: Path) -> None:
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.ina3221(1, {1: ("VDD_IN", 5040, 1200)})

    service = start_http(sysfs_root=sysfs.root)

    power = service.client.get("/v1/power").json()
    assert (power["source"], power["quality"]) == ("jetson", "measured")
    assert service.metric("sentryfuse_node_power_watts", source="jetson") is not None
    assert service.metric("sentryfuse_node_energy_joules_total", source="jetson") is not None


def test_a_recording_is_played_back(start_http: StartHttp, tmp_path: Path) -> None:
    recording = tmp_path / "power.csv"
    recording.write_text("time_s,joules\n0,100\n0.001,103\n")

    service = start_http(meter="replay", meter_recording=recording)

    assert service.metric("sentryfuse_node_energy_joules_total", source="replay") == 3.0


def test_a_meter_that_is_not_there_keeps_the_service_from_starting(
    start_http: StartHttp, tmp_path: Path
) -> None:
    service = start_http(ready=False, meter="rapl", sysfs_root=tmp_path)

    assert service.process.wait(timeout=60) != 0
    assert "the rapl meter can't be used: no RAPL zone" in service.log.read_text()
