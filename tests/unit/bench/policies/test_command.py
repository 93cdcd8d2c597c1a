from __future__ import annotations

import json
from pathlib import Path
from shutil import copy

import pytest

from sentryfuse.cli import main


def test_one_trace_can_be_tried_without_touching_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    copy("benchmarks/records/host-profile.json", tmp_path / "records")
    asked = [
        "--trace",
        "bursts-8",
        "--policy",
        "fair-price",
        "--policy",
        "fixed-0",
        "--seed",
        "100",
    ]
    code = main(
        ["bench", "policies", "--quick", "--json", "--quiet", "--out", str(tmp_path), *asked]
    )
    assert code == 0
    shown = json.loads(capsys.readouterr().out)
    by_policy = {run["policy"]: run["effective_accuracy"] for run in shown["runs"]}
    assert 0 < by_policy["fixed-0"] < by_policy["fair-price"] < 1
    assert shown["figures"]["policy_over_oracle"]["value"] <= 1
    assert shown["figures"]["plan_seconds_p50"]["unit"] == "s"
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["host-profile.json"]


def test_a_host_that_was_never_measured_is_an_error_that_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "policies", "--quick", "--out", str(tmp_path)]) == 1
    assert "host-profile.json does not exist: measure this machine" in capsys.readouterr().err


def test_an_unknown_policy_is_named_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "policies", "--quick", "--policy", "luck"]) == 1
    assert "policy must be one of fair-price, fair-slack, slackfit" in capsys.readouterr().err
