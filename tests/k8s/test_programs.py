"""What the overlays start besides the service does its work: the real shell, the real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fake_sysfs import FakeSysfs
from tests.k8s.manifests import K8S

SHARE = K8S / "overlays/metering/nodes/share-rapl.sh"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to a group")


def share(sysfs: FakeSysfs) -> str:
    command = ["sh", str(SHARE), str(sysfs.root / "devices/virtual/powercap"), "10010"]
    done = subprocess.run(
        command, env=os.environ | {"EVERY_S": "0"}, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout


def access(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mode & 0o777, status.st_gid


@needs_root
def test_counters_at_every_level_become_readable_by_the_group_and_by_nobody_else(
    tmp_path: Path,
) -> None:
    sysfs = FakeSysfs(tmp_path)
    counters = [
        sysfs.zone("intel-rapl:0", "package-0", 1.0),
        sysfs.zone("intel-rapl:0/intel-rapl:0:1", "dram", 1.0),
    ]
    assert share(sysfs).count("may read") == 2
    assert [access(counter) for counter in counters] == [(0o440, 10010)] * 2


@needs_root
def test_a_counter_that_is_shared_already_is_left_alone(tmp_path: Path) -> None:
    sysfs = FakeSysfs(tmp_path)
    sysfs.zone("intel-rapl:0", "package-0", 1.0)
    share(sysfs)
    assert share(sysfs) == ""


def test_a_node_without_counters_is_nothing_to_complain_about(tmp_path: Path) -> None:
    assert share(FakeSysfs(tmp_path)) == ""


def test_sharing_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    running = subprocess.Popen(["sh", str(SHARE), str(tmp_path), "10010"])
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.3)
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0
