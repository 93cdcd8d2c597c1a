from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.run import parser


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["cap"], Path("benchmarks")),
        (["redis"], Path("benchmarks")),
        (["play", "bursty"], Path("runs/plays")),
        (["cap", "--no-record"], None),
    ],
)
def test_records_go_where_the_scenario_keeps_them(arguments: list[str], out: Path | None) -> None:
    assert parser().parse_args(arguments).out == out
