"""data from-csv: from recordings to a data set that train takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sentryfuse.data.windows import load_windows
from tests.integration.cli.conftest import Run

WHO = ("ada", "bob", "cyd")
ARGUMENTS = ("--label", "activity", "--group", "person", "--out", "mine.npz", "--window-s", 2)
SENSORS = ("--sensor", "wrist=acc_*", "--sensor", "chest=pulse")


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three people, two activities; ten accelerations and one pulse a second."""
    monkeypatch.chdir(tmp_path)
    lines = ["time,person,activity,acc_x,acc_y,pulse"]
    lines += [
        f"{i / 10:g},{who},{'sit' if i < 100 else 'walk'},{i % 7},{n},{'' if i % 10 else 60 + n}"
        for n, who in enumerate(WHO)
        for i in range(200)
    ]
    path = Path("walk.csv")
    path.write_text("\n".join(lines))
    return path


def test_one_file_with_two_rates_becomes_a_data_set(run: Run, recording: Path) -> None:
    done = run("data", "from-csv", recording, *ARGUMENTS, *SENSORS, "--unit", "chest=1/min")
    assert done.code == 0
    assert done.out == "mine.npz: 30 windows of 3 groups, 2 classes, 2 sensors\n"
    assert "wrist: 20 samples at 10 Hz, 2 channels; absent in 0 windows" in done.err
    assert "next: sentryfuse train --data mine.npz" in done.err
    windows = load_windows(Path("mine.npz"))
    assert windows.class_names == ("sit", "walk")
    assert [(m.length, m.rate_hz, m.unit) for m in windows.modalities] == [
        (20, 10, ""),
        (2, 1, "1/min"),
    ]
    facts = run("data", "describe", "mine.npz", "--json").data
    assert facts["split"] == {"train": 10, "val": 10, "test": 10}


def test_a_sensor_may_have_a_window_of_its_own(run: Run, recording: Path) -> None:
    options = ("--window-s", "chest=4", "--hop-s", 2, "--licence", "CC0")
    assert run("data", "from-csv", recording, *ARGUMENTS, *SENSORS, *options, "-q").err == ""
    windows = load_windows(Path("mine.npz"))
    assert [m.length for m in windows.modalities] == [20, 4]
    assert windows.meta["source"] == {"licence": "CC0"}


def test_too_few_groups_are_told_at_once(run: Run, recording: Path) -> None:
    lines = recording.read_text().splitlines()
    recording.write_text("\n".join(line for line in lines if "cyd" not in line))
    done = run("data", "from-csv", recording, *ARGUMENTS, *SENSORS)
    assert "only 2 groups: training needs 3" in done.err


def test_a_wrong_cell_is_named_and_nothing_is_written(
    failure: Callable[..., str], recording: Path
) -> None:
    recording.write_text(recording.read_text().replace("\n0.3,ada,sit,3,", "\n0.3,ada,sit,3?,"))
    line = failure("data", "from-csv", recording, *ARGUMENTS, *SENSORS, "-q")
    assert "walk.csv, row 5, column 'acc_x': '3?' is no number" in line
    assert not Path("mine.npz").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--sensor", "wrist=speed"), "wrist: no column 'speed'; there are acc_x, acc_y, pulse"),
        (("--sensor", "acc_*"), "must be NAME=VALUE, got 'acc_*'"),
        ((*SENSORS, "--rate", "ankle=50"), "no sensor 'ankle'; there are wrist, chest"),
        ((*SENSORS, "--rate", "wrist=fast"), "must be a positive number, got 'fast'"),
        ((*SENSORS, "--window-s", 3), "gives two windows for all sensors"),
        ((*SENSORS, "--sensor", "chest=pulse"), "names a sensor twice"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run: Run, recording: Path, options: tuple[object, ...], reason: str
) -> None:
    done = run("data", "from-csv", recording, *ARGUMENTS, *options)
    assert done.code == 2
    assert reason in done.err


def test_the_help_shows_whole_commands(run: Run) -> None:
    told = run("data", "from-csv", "--help").out
    assert "sentryfuse data from-csv walk.csv --label activity --group person" in told
    assert "an empty cell was not measured" in " ".join(told.split())
