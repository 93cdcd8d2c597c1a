from __future__ import annotations

from pathlib import Path

import pytest

from app.power.frequency import FrequencyControl
from sentryfuse.energy.cpufreq import open_cpufreq

KHZ = {"cpuinfo_min_freq": 1_000_000, "cpuinfo_max_freq": 2_000_000, "scaling_max_freq": 2_000_000}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A made-up group of cores."""
    folder = tmp_path / "devices/system/cpu/cpufreq/policy0"
    folder.mkdir(parents=True)
    for name, khz in KHZ.items():
        (folder / name).write_text(f"{khz}\n")
    (folder / "cpuinfo_transition_latency").write_text("20000\n")
    return folder


def capped_khz(policy: Path) -> int:
    return int((policy / "scaling_max_freq").read_text())


def control(tmp_path: Path) -> FrequencyControl:
    found = open_cpufreq(tmp_path)
    assert found.available, found.reason
    return FrequencyControl(found, now_s=0.0)


def work(made: FrequencyControl, ratio: float, *, begin_s: float, seconds: float) -> None:
    for tick in range(1, round(seconds * 4) + 1):
        made.update(10, 10 * ratio, begin_s + tick / 4)


def test_work_that_stays_sparse_lowers_the_frequency_and_dense_work_lifts_it(
    tmp_path: Path, policy: Path
) -> None:
    made = control(tmp_path)
    work(made, 0.9, begin_s=0.0, seconds=20.0)
    sparse_khz = capped_khz(policy)
    work(made, 0.0, begin_s=20.0, seconds=30.0)
    assert 1_000_000 <= sparse_khz < 2_000_000
    assert capped_khz(policy) == 2_000_000


def test_without_work_the_frequency_stays_as_it_is(tmp_path: Path, policy: Path) -> None:
    made = control(tmp_path)
    for tick in range(200):
        made.update(0, 0.0, tick / 4)
    assert capped_khz(policy) == 2_000_000


def test_a_moment_of_sparse_work_changes_nothing(tmp_path: Path, policy: Path) -> None:
    made = control(tmp_path)
    work(made, 0.0, begin_s=0.0, seconds=10.0)
    work(made, 0.9, begin_s=10.0, seconds=2.0)
    work(made, 0.0, begin_s=12.0, seconds=10.0)
    assert capped_khz(policy) == 2_000_000


def test_on_stop_the_frequency_is_put_back(tmp_path: Path, policy: Path) -> None:
    (policy / "scaling_max_freq").write_text("1900000\n")
    made = control(tmp_path)
    work(made, 0.9, begin_s=0.0, seconds=20.0)
    assert capped_khz(policy) < 1_900_000
    made.close()
    assert capped_khz(policy) == 1_900_000
