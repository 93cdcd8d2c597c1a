from __future__ import annotations

from pathlib import Path

import pytest

from sentryfuse.energy.sysfs import listing, read_number, read_text, why_unreadable


@pytest.mark.parametrize(
    ("content", "value"), [(b"1234\n", 1234.0), (b" -5 \n", -5.0), (b"1.5", 1.5), (b"0", 0.0)]
)
def test_a_number_is_read_whatever_blanks_surround_it(
    tmp_path: Path, content: bytes, value: float
) -> None:
    (tmp_path / "f").write_bytes(content)
    assert read_number(tmp_path / "f") == value
    assert why_unreadable(tmp_path / "f") is None


@pytest.mark.parametrize("content", [b"", b"\n", b"N/A", b"12 mA", b"nan", b"inf", b"\xff\xfe"])
def test_garbage_is_no_number(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    assert read_number(tmp_path / "f") is None
    assert why_unreadable(tmp_path / "f") == f"holds no number: {tmp_path / 'f'}"


def test_what_is_not_there_or_a_folder_reads_as_nothing(tmp_path: Path) -> None:
    assert read_text(tmp_path / "gone") is None
    assert read_text(tmp_path) is None
    assert why_unreadable(tmp_path / "gone") == f"No such file or directory: {tmp_path / 'gone'}"


def test_a_driver_that_answers_with_an_error_reads_as_nothing() -> None:
    # The kernel answers a read of this file with EIO, as a sensor on a broken bus does.
    assert read_text(Path("/proc/self/mem")) is None


def test_entries_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("hwmon10", "hwmon2", "hwmon1"):
        (tmp_path / name).mkdir()
    (tmp_path / "hwmon3").symlink_to("nowhere")
    assert [p.name for p in listing(tmp_path, "hwmon*")] == [
        "hwmon1",
        "hwmon2",
        "hwmon3",
        "hwmon10",
    ]
    assert listing(tmp_path / "gone", "*") == []
