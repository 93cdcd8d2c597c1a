from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sentryfuse.energy import NodeCpuClock, cpu_clock, node_busy_cpu_s, process_cpu_s
from sentryfuse.errors import MeterError
from tests.unit.energy.clock import Clock

HZ = os.sysconf("SC_CLK_TCK")


def stat(proc: Path, *ticks: int) -> Path:
    (proc / "stat").write_text(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    return proc


def test_idle_iowait_and_steal_are_not_busy_and_guests_are_in_user_already(tmp_path: Path) -> None:
    #            user nice system idle iowait irq softirq steal guest guest_nice
    stat(tmp_path, 100, 20, 3, 10**6, 10**5, 400, 5000, 10**7, 10**8, 10**9)

    assert node_busy_cpu_s(tmp_path) == (100 + 20 + 3 + 400 + 5000) / HZ


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu a b c d e f g\n", "intr 1 2 3 4 5 6 7\n"])
def test_a_file_that_is_not_the_kernels_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "stat").write_text(text)
    with pytest.raises(MeterError, match="can't read the node's CPU time"):
        node_busy_cpu_s(tmp_path)


def test_the_clock_never_falls_nor_fails(tmp_path: Path) -> None:
    clock = Clock()
    busy = NodeCpuClock(stat(tmp_path, 500, 0, 0, 0, 0, 0, 0), clock=clock)
    heard = []
    for ticks in (500, 600, 550, None, 700):
        clock.now_s += 1
        if ticks is None:
            (tmp_path / "stat").unlink()
        else:
            stat(tmp_path, ticks, 0, 0, 0, 0, 0, 0)
        heard.append(busy() * HZ)

    assert heard == [500, 600, 600, 600, 700]


def test_readings_closer_than_ten_milliseconds_are_one(tmp_path: Path) -> None:
    clock = Clock()
    busy = NodeCpuClock(stat(tmp_path, 500, 0, 0, 0, 0, 0, 0), clock=clock)
    stat(tmp_path, 900, 0, 0, 0, 0, 0, 0)
    clock.now_s += 0.009
    assert busy() * HZ == 500
    clock.now_s += 0.002
    assert busy() * HZ == 900


def test_without_a_first_reading_there_is_no_clock(tmp_path: Path) -> None:
    with pytest.raises(MeterError):
        cpu_clock("node", tmp_path)


def test_the_real_node_is_at_least_as_busy_as_this_process() -> None:
    node_s, process_s = node_busy_cpu_s(), process_cpu_s()
    while process_cpu_s() - process_s < 0.1:
        sum(range(10_000))
    time.sleep(0.02)

    assert node_busy_cpu_s() - node_s >= 0.1 - 2 / HZ
    assert cpu_clock("process") is process_cpu_s
