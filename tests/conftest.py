"""Tests of real processes on real clocks get a second chance.

They wait for servers, browsers and containers on machines that do other things too. What fails
twice in a row has failed; what needed its second chance is listed as RERUN, and worth a look.
"""

from __future__ import annotations

import pytest

_ON_REAL_CLOCKS = {"browser", "containers", "integration"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _ON_REAL_CLOCKS & {*item.path.parts}:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=1))
