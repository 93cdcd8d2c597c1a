"""The real data sets, where they are at hand; tests that need one skip with a reason elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def real_data(name: str) -> Path:
    """Return the path of a data set, or skip the test."""
    folder = os.environ.get("SENTRYFUSE_DATA")
    if not folder:
        pytest.skip("SENTRYFUSE_DATA is not set: the real data sets are not at hand")
    path = Path(folder) / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in SENTRYFUSE_DATA")
    return path
