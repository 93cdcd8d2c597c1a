from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentryfuse.bench import Record


@pytest.fixture
def record() -> Record:
    return Record("speed", "How fast is it?", threads=1)


def test_a_record_keeps_every_sample_with_its_spread(record: Record, tmp_path: Path) -> None:
    record.add_samples("latency_seconds", [1.0, 2.0, 3.0, 4.0, 5.0], "s")
    written = json.loads(record.save(tmp_path).read_text())
    assert written["samples"]["latency_seconds"] == {
        "unit": "s",
        "median": 3.0,
        "iqr": 2.0,
        "samples": [1.0, 2.0, 3.0, 4.0, 5.0],
    }


def test_a_record_says_how_it_was_made(record: Record, tmp_path: Path) -> None:
    written = json.loads(record.save(tmp_path).read_text())
    assert written["question"] == "How fast is it?"
    assert written["settings"] == {"threads": 1}
    assert written["hardware"]["cores"] >= 1
    assert {"command", "commit", "date", "versions"} <= written.keys()


def test_a_figure_points_at_its_record_and_leaves_others_alone(
    record: Record, tmp_path: Path
) -> None:
    (tmp_path / "figures.json").write_text('{"old": {"value": 1}}')
    record.add_figure("new", 0.5, "s", {"n": 3})
    record.save(tmp_path)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["old"] == {"value": 1}
    assert figures["new"] == {
        "value": 0.5,
        "unit": "s",
        "spread": {"n": 3},
        "record": "records/speed.json",
    }


def test_paths_of_this_machine_stay_out_of_a_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", [str(tmp_path / "elsewhere" / "tool.py"), "--data", "x.npz"])
    path = Record("speed", "?").save(tmp_path)
    assert json.loads(path.read_text())["command"] == "python tool.py --data x.npz"


def test_a_figure_that_a_new_record_does_not_give_any_more_is_gone(tmp_path: Path) -> None:
    for name in ("in_part", "whole"):
        record = Record("grid", "How far?")
        record.add_figure(name, 1.0, "ratio")
        record.save(tmp_path)
    assert [*json.loads((tmp_path / "figures.json").read_text())] == ["whole"]
