"""Prometheus' own tool, which checks what Prometheus would read."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def promtool(*arguments: object) -> str:
    """Run it, demand success, and return what it says."""
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(
        [binary, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
