"""The converter reads the official layout exactly, and names what is wrong in a damaged one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentryfuse.data.dsads import ACTIVITIES, DSADS, OFFICIAL, convert
from sentryfuse.data.splits import Split, recommended_split
from sentryfuse.data.windows import WindowSet, load_windows, save_windows
from sentryfuse.errors import DataError
from tests.unit.data.archives import SMALL, first_values, write_archive

SECOND = "data/a02/p1/s01.txt"


def read(path: Path) -> WindowSet:
    return convert(path, layout=SMALL)


def test_segments_become_windows_in_order_of_subject_activity_and_time(tmp_path: Path) -> None:
    windows = read(write_archive(tmp_path / "a.zip"))
    np.testing.assert_array_equal(windows.arrays["torso"][:, 0, 0], first_values())
    assert windows.label.tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert windows.group.tolist() == [1] * 6 + [2] * 6


def test_columns_are_torso_arms_and_legs_of_nine_channels_each(tmp_path: Path) -> None:
    windows = read(write_archive(tmp_path / "a.zip"))
    assert [m.name for m in windows.modalities] == [
        "torso",
        "right_arm",
        "left_arm",
        "right_leg",
        "left_leg",
    ]
    for unit, array in enumerate(windows.arrays.values()):
        assert array.shape == (12, 125, 9)
        np.testing.assert_array_equal(array[0, 0], np.full(9, 111.0 + unit))
    assert windows.modalities[0].channel_names[:4] == ("acc_x", "acc_y", "acc_z", "gyro_x")


def test_values_are_rounded_below_the_noise_of_each_sensor(tmp_path: Path) -> None:
    line = ",".join(["9.8137", "-0.31491", "0.66", "1.2345", "0", "0", "0.12345", "0", "0"] * 5)
    path = write_archive(tmp_path / "a.zip", change=lambda n, t: f"{line}\n" * 125)
    first = read(path).arrays["torso"][0, 0].astype(np.float64)
    np.testing.assert_allclose(first[[0, 1, 3, 6]], [9.82, -0.32, 1.23, 0.124], rtol=5e-4)


def test_the_window_file_says_units_rates_licence_and_split(tmp_path: Path) -> None:
    save_windows(read(write_archive(tmp_path / "a.zip")), tmp_path / "dsads.npz")
    windows = load_windows(tmp_path / "dsads.npz")
    assert windows.modalities[4].rate_hz == 25
    assert windows.modalities[4].unit.startswith("m/s^2, rad/s, ")
    assert windows.class_names == ACTIVITIES
    assert windows.meta["source"]["licence"] == "CC BY 4.0"
    assert "Barshan" in windows.meta["source"]["citation"]
    assert windows.meta["recommended_split"]["test"] == [7, 8]
    assert "all 2 consecutive segments" in windows.meta["window"]


def test_the_official_layout_has_9120_segments_and_a_usable_split() -> None:
    keys = OFFICIAL.ids()
    assert len(keys) == len(set(keys)) == 9120
    assert len(ACTIVITIES) == OFFICIAL.activities == 19


def test_the_recommended_split_keeps_subjects_7_and_8_for_the_test(tmp_path: Path) -> None:
    layout = type(SMALL)(activities=1, subjects=8, segments=1)
    windows = convert(write_archive(tmp_path / "a.zip", layout), layout=layout)
    assert recommended_split(windows) == Split((1, 2, 3, 4, 5), (6,), (7, 8))


@pytest.mark.parametrize("prefix", ["", "data/", "Daily and Sports/data/", "../../etc/"])
def test_where_the_archive_puts_its_files_does_not_matter(tmp_path: Path, prefix: str) -> None:
    path = write_archive(tmp_path / "a.zip", prefix=prefix)
    assert len(read(path)) == 12
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]  # nothing was extracted


def test_other_files_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "a.zip",
        change=lambda name, text: text.replace("\n", "\r\n") + "\r\n",
        extra={"__MACOSX/data/._a01": "x", "readme.txt": "hello"},
    )
    assert len(read(path)) == 12


def test_progress_counts_every_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert(write_archive(tmp_path / "a.zip"), lambda *s: seen.append(s), layout=SMALL)
    assert seen == [(i, 12) for i in range(1, 13)]


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (lambda t: t.replace("121,", ",", 1), "line 1: could not convert string to float: ''"),
        (lambda t: t.replace("\n121,", "\nabc,", 1), "could not convert string to float"),
        (lambda t: t.split("\n", 1)[1], "has 124 lines, not 125"),
        (lambda t: t + t, "has 250 lines, not 125"),
        (lambda t: "", "has 0 lines, not 125"),
        (lambda t: t.replace("\n", ",1\n", 1), "line 1: has 46 numbers, not 45"),
        (lambda t: "nan" + t[t.index(",") :], "line 1: holds a value that no sensor gives"),
        (lambda t: "1e9" + t[t.index(",") :], "line 1: holds a value that no sensor gives"),
        (lambda t: t + "0" * 1_000_000, "bytes are too many for a segment"),
    ],
)
def test_a_damaged_segment_is_named_with_file_and_line(
    tmp_path: Path, damaged: object, reason: str
) -> None:
    def change(name: str, text: str) -> str:
        return damaged(text) if name == SECOND else text  # type: ignore[operator]

    path = write_archive(tmp_path / "a.zip", change=change)
    with pytest.raises(DataError, match=rf"a\.zip: {SECOND}.*{reason}"):
        read(path)


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", change=lambda n, t: None if "p1/s02" in n else t)
    with pytest.raises(DataError, match=r"lacks 3 of 12 segments, .* data/a01/p1/s02\.txt"):
        read(path)


def test_a_segment_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", extra={"copy/a02/p1/s01.txt": "1"})
    with pytest.raises(DataError, match="are the same segment"):
        read(path)


@pytest.mark.parametrize("keep", [0, 10, 500, -30])
def test_a_truncated_archive_is_refused(tmp_path: Path, keep: int) -> None:
    path = write_archive(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.zip: not a readable zip archive"):
        read(path)


def test_flipped_bytes_are_refused_or_harmless_but_never_a_crash(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 8):
            damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            read(path)
        except DataError:
            refused += 1
    assert refused > 50


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.zip: no such file"):
        read(tmp_path / "gone.zip")


def test_the_source_states_where_the_archive_is_and_what_it_should_be() -> None:
    assert DSADS.url.startswith("https://archive.ics.uci.edu/")
    assert DSADS.size_bytes > 1e8
    assert len(DSADS.sha256) == 64
