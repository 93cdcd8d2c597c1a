from __future__ import annotations

import subprocess
import sys

import pytest

from app.processes.supervisor import shares_of
from app.settings import load_settings
from sentryfuse.errors import ConfigError


@pytest.mark.parametrize(
    ("cores", "processes", "shares"),
    [
        ([0, 1], 2, [(0,), (1,)]),
        ([0, 1, 2, 3, 4], 2, [(0, 1), (2, 3, 4)]),
        ([4, 5, 6, 7], 2, [(4, 5), (6, 7)]),
        ([0], 2, [(), ()]),
    ],
)
def test_cores_are_shared_out_evenly_or_left_to_the_system(
    cores: list[int], processes: int, shares: list[tuple[int, ...]]
) -> None:
    assert shares_of(cores, processes) == shares


def test_a_second_port_needs_a_single_process() -> None:
    with pytest.raises(ConfigError, match="grpc_port needs a single process"):
        load_settings(processes=2, grpc_port=9000)


def test_the_supervisor_loads_nothing_that_serves() -> None:
    code = (
        "import sys, app.server, app.processes.supervisor;"
        "print(*sys.modules.keys() & {'onnxruntime', 'fastapi', 'app.main', 'onnx'})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
