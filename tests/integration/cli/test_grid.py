"""bench grid: the shipped smoke grid on a small set, from training to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sentryfuse.cli import main
from tests.integration.cli.conftest import Run, labelled_windows

pytest.importorskip("torch", reason="the grid trains")

from sentryfuse.bench.grid.records import read_record, read_records
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import save_windows

SMOKE = Path(__file__).parents[3] / "configs" / "bench" / "smoke.toml"
JOBS = 34


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke grid, done."""
    folder = tmp_path_factory.mktemp("grid")
    save_windows(labelled_windows(), folder / "toy.npz")
    assert main(["bench", "grid", *places(folder), "--quiet", "--json"]) == 0
    return folder


def places(folder: Path, work: str = "") -> list[str]:
    return [
        *("--config", str(SMOKE), "--data", str(folder), "--processes", "2"),
        *("--runs", str(folder / work / "runs"), "--records", str(folder / work / "records")),
    ]


def test_every_model_is_trained_and_every_method_measured(folder: Path) -> None:
    models = list((folder / "runs").glob("*/model.safetensors"))
    records = read_records(folder / "records")

    assert len(models) + len(records) == JOBS
    assert {r["method"] for r in records if r["school"] == "conventional"} == {
        *("unpruned", "random", "magnitude", "synflow", "flap")
    }
    for record in records:
        assert all(0 <= row["accuracy"] <= 1 for row in record["rows"])
        assert {row["missing"] for row in record["rows"]} == {0, 1}
        assert tuple(record["test_groups"]) == recommended_split(labelled_windows()).test


def test_a_grid_that_lost_a_result_does_that_again_and_nothing_else(folder: Path, run: Run) -> None:
    lost = folder / "records" / "toy-maestro-conventional-seed0-flap.json"
    before = read_record(lost)["rows"]
    lost.unlink()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*/**/*") if path.is_file()}

    done = run("bench", "grid", *places(folder))

    assert done.code == 0
    assert read_record(lost)["rows"] == before
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_a_model_whose_results_are_all_there_is_not_trained_again(folder: Path, run: Run) -> None:
    shutil.copytree(folder / "records", folder / "elsewhere" / "records")

    done = run("bench", "grid", *places(folder, "elsewhere"))

    assert done.code == 0
    assert not (folder / "elsewhere" / "runs").exists()


def test_a_report_needs_no_data(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTRYFUSE_DATA", raising=False)
    asked = ("bench", "grid", "--config", SMOKE, "--quiet")

    done = run(*asked, "--report-only", "--json", "--records", folder / "records")

    assert done.code == 0
    assert json.loads(done.out)["grid_a_win_rate"]["spread"]["cells"] == 8
    assert "no folder of data sets" in run(*asked, "--records", folder / "none").err


def test_the_page_of_results_gets_tables_between_its_marks(folder: Path, run: Run) -> None:
    before = (Path("docs") / "results.md").read_text(encoding="utf-8")
    page = folder / "results.md"
    page.write_text(before, encoding="utf-8")

    done = run("bench", "grid", *places(folder), "--report-only", "--page", page, "--quiet")

    text = page.read_text(encoding="utf-8")
    head, mark, _ = before.partition("<!-- grid: begin -->")
    assert done.code == 0
    assert text.startswith(head + mark)
    assert text.count("| sentrygate | ") == 2


def test_pictures_and_a_record_are_written(folder: Path, run: Run) -> None:
    done = run(
        *("bench", "grid", *places(folder), "--report-only", "--quiet"),
        *("--plot", folder / "plots", "--out", folder / "out"),
    )

    assert done.code == 0
    assert len(list((folder / "plots").glob("*.svg"))) == 4
    figures = json.loads((folder / "out" / "figures.json").read_text())
    assert figures["grid_a_win_rate"]["spread"]["cells"] == 8


def test_a_set_that_is_not_there_fails_its_jobs_and_says_so(tmp_path: Path, run: Run) -> None:
    done = run("bench", "grid", *places(tmp_path), "--quiet")

    assert done.code == 1


def test_a_shard_that_makes_no_sense_is_named(tmp_path: Path, run: Run) -> None:
    done = run("bench", "grid", *places(tmp_path), "--shard", "4/4")

    assert done.code == 1
    assert "4/4" in done.err
