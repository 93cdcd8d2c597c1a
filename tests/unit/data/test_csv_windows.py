"""Recordings in CSV files, cut into windows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sentryfuse.data.csv_table import Roles, read_table
from sentryfuse.data.csv_windows import Cutting, Sensor, Tally, cut_windows
from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import DataError

ROLES = Roles(time="t", label="what", group="who")
ACC = Sensor(name="acc", columns=("x", "y"), window_s=1.0)
PULSE = Sensor(name="pulse", columns=("bpm",), window_s=2.0)


def write(path: Path, header: str, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def acc_rows(who: str, what: str, start_s: float = 0.0, seconds: float = 4.0) -> list[str]:
    """Ten samples per second; x counts them."""
    count = round(seconds * 10)
    return [f"{start_s + i / 10:.3f},{who},{what},{i},{-i}" for i in range(count)]


def cut(
    paths: Sequence[Path], sensors: Sequence[Sensor] = (ACC,), roles: Roles = ROLES, **more: float
) -> tuple[WindowSet, Tally]:
    columns = [column for sensor in sensors for column in sensor.columns]
    tables = [read_table(path, roles, columns) for path in paths]
    cutting = Cutting(**{"hop_s": max(s.window_s for s in sensors), **more})
    return cut_windows(tables, sensors, cutting, name="toy")


@pytest.fixture
def acc(tmp_path: Path) -> Path:
    rows = [*acc_rows("p10", "walk"), *acc_rows("p9", "sit")]
    return write(tmp_path / "acc.csv", "t,who,what,x,y", rows)


def test_windows_follow_one_another_without_a_hole(acc: Path) -> None:
    windows, tally = cut([acc])
    assert windows.arrays["acc"].shape == (8, 10, 2)
    np.testing.assert_array_equal(windows.arrays["acc"][:4, :, 0].ravel(), np.arange(40))
    np.testing.assert_array_equal(windows.arrays["acc"][..., 1], -windows.arrays["acc"][..., 0])
    assert (tally.kept, tally.unlabelled, tally.mixed, tally.silent) == (8, 0, 0, 0)


def test_labels_and_groups_are_numbered_in_natural_order(acc: Path) -> None:
    windows, tally = cut([acc])
    assert windows.class_names == ("sit", "walk")
    assert tally.groups == ("p9", "p10")
    assert windows.group.tolist() == [1] * 4 + [0] * 4
    assert windows.label.tolist() == [1] * 4 + [0] * 4


def test_a_hop_shorter_than_the_window_overlaps(acc: Path) -> None:
    windows, _ = cut([acc], hop_s=0.5)
    assert windows.arrays["acc"][1, 0, 0] == 5
    assert len(windows) == 14


def test_rates_come_from_the_times_and_each_sensor_has_its_own(acc: Path, tmp_path: Path) -> None:
    rows = [f"{i},{who},{60 + i}" for who in ("p9", "p10") for i in range(4)]
    pulse = write(tmp_path / "pulse.csv", "t,who,bpm", rows)
    windows, _ = cut([acc, pulse], (ACC, PULSE), hop_s=1)
    assert [m.rate_hz for m in windows.modalities] == [10, 1]
    assert windows.arrays["pulse"][:, :, 0].tolist() == [[60, 61], [61, 62], [62, 63]] * 2
    np.testing.assert_array_equal(windows.arrays["acc"][0, :, 0], np.arange(10, 20))


def test_windows_of_unequal_length_end_together(acc: Path) -> None:
    slow = Sensor(name="both", columns=("x",), window_s=2.0)
    windows, _ = cut([acc], (ACC, slow), hop_s=1)
    np.testing.assert_array_equal(windows.arrays["acc"][:, -1, 0], windows.arrays["both"][:, -1, 0])


def test_an_empty_cell_is_no_sample_so_one_file_can_hold_two_rates(tmp_path: Path) -> None:
    rows = [
        f"{i / 10},{who},{what},{i},{0},{i if i % 10 == 0 else ''}"
        for who, what in (("a", "walk"), ("b", "sit"))
        for i in range(40)
    ]
    path = write(tmp_path / "both.csv", "t,who,what,x,y,bpm", rows)
    windows, _ = cut([path], (ACC, PULSE))
    assert [m.rate_hz for m in windows.modalities] == [10, 1]
    assert windows.arrays["pulse"][0, :, 0].tolist() == [0, 10]


def test_jitter_within_half_a_period_does_no_harm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{i / 10 + jitter:.4f},{who},{what},{i},0"
        for who, what in (("a", "walk"), ("b", "sit"))
        for i, jitter in enumerate(np.r_[0.0, rng.uniform(-0.03, 0.03, 39)])
    ]
    windows, _ = cut([write(tmp_path / "j.csv", "t,who,what,x,y", rows)])
    np.testing.assert_array_equal(windows.arrays["acc"][:4, :, 0].ravel(), np.arange(40))


def test_a_hole_stays_a_hole_and_a_large_one_makes_the_sensor_absent(tmp_path: Path) -> None:
    rows = acc_rows("a", "walk") + acc_rows("b", "sit")
    kept = [row for i, row in enumerate(rows) if i not in (3, *range(12, 18))]
    other = [f"{i / 10},{who},1" for who in "ab" for i in range(40)]
    other_path = write(tmp_path / "other.csv", "t,who,bpm", other)
    path = write(tmp_path / "holes.csv", "t,who,what,x,y", kept)
    pulse = Sensor(name="pulse", columns=("bpm",), window_s=1.0)
    windows, tally = cut([path, other_path], (ACC, pulse), label_share=0.5)
    holes = np.isnan(windows.arrays["acc"][:, :, 0])
    assert np.flatnonzero(holes[0]).tolist() == [3]
    assert holes[1].all()
    assert not holes[2:].any()
    assert tally.absent == {"acc": 1, "pulse": 0}


def test_a_window_of_two_labels_or_none_is_left_out(tmp_path: Path) -> None:
    rows = acc_rows("a", "walk", 0, 1.5) + acc_rows("a", "sit", 1.5, 1.5)
    rows += acc_rows("a", "", 3.0, 1.0)
    windows, tally = cut([write(tmp_path / "m.csv", "t,who,what,x,y", rows)])
    assert [windows.class_names[i] for i in windows.label] == ["walk", "sit"]
    assert (tally.mixed, tally.unlabelled) == (1, 1)


def test_recordings_of_one_group_have_clocks_of_their_own(tmp_path: Path) -> None:
    rows = [f"{row},{n}" for n, what in enumerate(("walk", "sit")) for row in acc_rows("a", what)]
    path = write(tmp_path / "r.csv", "t,who,what,x,y,take", rows)
    windows, tally = cut([path], roles=Roles(time="t", label="what", group="who", recording="take"))
    assert (len(windows), tally.groups) == (8, ("a",))


@pytest.mark.parametrize("first", ["2026-03-01T12:00:00", "2026-03-01 12:00:00+00:00"])
def test_times_may_be_iso_8601(tmp_path: Path, first: str) -> None:
    stem, zone = first[:19].replace(" ", "T")[:-2], first[19:]
    rows = [
        f"{stem}{i // 10:02d}.{i % 10}{zone},{who},{what},{i},0"
        for who, what in (("a", "walk"), ("b", "sit"))
        for i in range(40)
    ]
    windows, _ = cut([write(tmp_path / "iso.csv", "t,who,what,x,y", rows)])
    assert windows.modalities[0].rate_hz == 10


def test_other_separators_and_units_of_time_are_understood(tmp_path: Path) -> None:
    rows = [
        f"{i * 100};{who};{what};{i};0"
        for who, what in (("a", "walk"), ("b", "sit"))
        for i in range(40)
    ]
    path = write(tmp_path / "s.csv", "\ufefft;who;what;x;y", rows)
    roles = Roles(time="t", label="what", group="who", time_unit="ms")
    assert cut([path], roles=roles)[0].modalities[0].rate_hz == 10


@pytest.mark.parametrize(
    ("header", "rows", "reason"),
    [
        ("t,who,what,x,y", ["0,a,walk,1,2", "0.1,a,walk,oops,2"], "row 3, column 'x': 'oops' is"),
        ("t,who,what,x,y", ["0,a,walk,1,2", "0.1,a,walk,1"], "row 3: has 4 cells, row 1 names 5"),
        ("t,who,what,x,y", ["soon,a,walk,1,2"], "row 2, column 't': 'soon' is neither"),
        ("t,who,what,x,y", ["0,,walk,1,2"], "row 2, column 'who': is empty"),
        ("t,who,what,x,y", ["0,a,walk,inf,2"], "row 2, column 'x': 'inf' is not finite"),
        ("t,who,what,x,y", ["1,a,walk,1,2", "0,a,walk,1,2"], "row 3: time 0 s does not come after"),
        ("t,what,x,y", ["0,walk,1,2"], "has no column 'who'; it has t, what, x, y"),
        ("t,who,x,y", ["0,a,1,2", "1,a,1,2"], "no file has the label column"),
        ("t,who,what,x", ["0,a,walk,1"], "sensor 'acc' lacks column 'y'"),
        ("t,who,what,x,x", ["0,a,walk,1,2"], "names column 'x' twice"),
        ("t,who,what,x,y", [], "has a header and no rows"),
        ("t,who,what,x,y", ["0,a,walk,,"], "sensor 'acc': no row has a value"),
        ("t,who,what,x,y", ["0,a,walk,1,2"], "one sample tells no rate"),
        ("t,who,what,x,y", acc_rows("a", "walk"), "all 4 windows have the label 'walk'"),
        ("t,who,what,x,y", acc_rows("a", "walk", 0, 0.5), "no window is left"),
    ],
)
def test_what_makes_no_sense_is_refused_by_row_and_column(
    tmp_path: Path, header: str, rows: list[str], reason: str
) -> None:
    with pytest.raises(DataError, match=re.escape(reason)):
        cut([write(tmp_path / "bad.csv", header, rows)])


def test_a_rate_that_the_times_deny_is_refused(acc: Path) -> None:
    wrong = Sensor(name="acc", columns=("x", "y"), window_s=1.0, rate_hz=25)
    with pytest.raises(DataError, match="stated are 25 Hz, its times say 10 Hz"):
        cut([acc], (wrong,))


def test_two_files_of_one_recording_at_the_same_time_are_refused(acc: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    again.write_bytes(acc.read_bytes())
    with pytest.raises(DataError, match=r"acc\.csv and .*again\.csv at the same time"):
        cut([acc, again])


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("t,who,what,x,y\n0,J\xf6rg,walk,1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8"):
        cut([path])
